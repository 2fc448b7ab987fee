#include "launchers/programs.h"

#include <unistd.h>

#include "base/child_process.h"
#include "launchers/environment.h"
#include "triga/error.h"

namespace triga {

namespace fs = std::filesystem;

fs::path find_program(const std::string& name) {
  const std::string path = environment_variable("PATH").value_or("/usr/bin:/bin");
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find(':', begin), path.size());
    const fs::path candidate = fs::path(path.substr(begin, end - begin)) / name;
    std::error_code ignored;
    if (::access(candidate.c_str(), X_OK) == 0 && !fs::is_directory(candidate, ignored))
      return candidate;
    begin = end + 1;
  }
  return {};
}

std::optional<std::string> run_program(const std::vector<std::string>& line,
                                       std::chrono::milliseconds patience) {
  try {
    ChildProcess child(line, ChildProcess::Streams::kPipe);
    const auto outcome = child.wait(std::chrono::steady_clock::now() + patience);
    return outcome.timed_out ? std::nullopt : std::optional(outcome.output);
  } catch (const Error&) {  // it is not there, or is no program
    return std::nullopt;
  }
}

std::string shell_word(const std::string& text) {
  constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./:,@%";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string(R"('\'')") : std::string(1, c);
  return quoted + "'";
}

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

std::string command_to_go_on(const std::vector<std::string>& words) {
  std::vector<std::string> kept = {"triga"};
  for (const std::string& word : words)
    if (!word.starts_with("--fresh") && !word.starts_with("--print")) kept.push_back(word);
  return shell_line(kept);
}

std::vector<std::string> rank_program(const LaunchConfig& config, const fs::path& executable) {
  if (!config.container) return {executable.string()};
  std::vector<std::string> words = config.container->command;
  words.push_back(config.container->image.path);
  words.push_back(config.container->triga.empty() ? executable.string() : config.container->triga);
  return words;
}

}  // namespace triga
