// triga __open-plugin FILE: the child process in which a plugin is opened for the first time
// (plugin_host/trial.h).
#include <iostream>

#include "launchers/command.h"
#include "plugin_host/trial.h"

namespace triga {

void add_open_plugin(CLI::App& app, Command& command) {
  auto file = std::make_shared<std::string>();
  CLI::App* sub = app.add_subcommand("__open-plugin", "")->group("");  // not shown
  sub->add_option("file", *file)->required();
  sub->callback([&command, file] {
    command.run = [file] {
      std::cout << open_for_trial(*file) << std::endl;
      return ExitStatus::kDone;
    };
  });
}

}  // namespace triga
