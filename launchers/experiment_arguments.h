// The command line of an experiment, shared by train, launch and check.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <vector>

namespace triga {

struct ExperimentArguments {
  std::string file;
  std::vector<std::string> overrides;  // "train.max_steps=50"
  std::string run_dir;                 // "": runs/<name>
  std::string resume = "auto";         // or the path of a checkpoint
  bool fresh = false;
  std::string progress = "auto";  // bar, lines
  int64_t profile_steps = 0;
  bool uses_site = false;  // the site's files are laid over `launch`, and this one
  std::string site;        // --site
  /// What ${env:NAME} is here where only the job will have it.
  std::map<std::string, std::string> stand_ins;

  void add_to(CLI::App& app);
  /// Adds only the file and --set.
  void add_file_to(CLI::App& app);
  /// --site, for commands that `launch` is for.
  void add_site_to(CLI::App& app);
  /// Back to arguments, for the ranks: without the site, which is for who starts them.
  std::vector<std::string> to_command_line() const;
};

}  // namespace triga
