#include "launchers/unknown_command.h"

#include <c10/util/StringUtil.h>

#include <algorithm>

#include "config/vocabulary.h"
#include "triga/error.h"

namespace triga {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

[[noreturn]] void refuse(const CLI::App& app, const std::string& line, const std::string& word) {
  std::vector<std::string> known;
  for (const CLI::App* command : commands_of(app))
    if (!command->get_group().empty()) known.push_back(command->get_name());  // "": hidden
  const std::string near = nearest(word, known);
  throw ConfigError(c10::str("no command '", line, word, "'",
                             near.empty() ? "" : "; did you mean '" + line + near + "'?",
                             near.empty() ? "; there are: " : " There are: ", join(known),
                             "\n  Run 'triga --help', or 'triga COMMAND --help'."));
}

}  // namespace

void refuse_unknown_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* command = &app;
  std::string line;
  for (const std::string& word : arguments) {
    const std::vector<const CLI::App*> known = commands_of(*command);
    if (known.empty() || word.starts_with('-')) return;
    const auto found = std::find_if(known.begin(), known.end(),
                                    [&](const CLI::App* sub) { return sub->get_name() == word; });
    if (found == known.end()) refuse(*command, line, word);
    command = *found;
    line += word + " ";
  }
}

}  // namespace triga
