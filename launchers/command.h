// What the files of this folder share: each subcommand adds itself to the command line and, if
// chosen, runs.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>

#include "launchers/environment.h"
#include "triga/error.h"

namespace triga {

struct Command {
  const CommandEnvironment& environment;
  /// What the chosen subcommand does; returns the exit status. Throws: Error.
  std::function<ExitStatus()> run;
};

void add_train(CLI::App& app, Command& command);
void add_launch(CLI::App& app, Command& command);
void add_submit(CLI::App& app, Command& command);
void add_check(CLI::App& app, Command& command);
void add_plan(CLI::App& app, Command& command);
void add_list(CLI::App& app, Command& command);
void add_describe(CLI::App& app, Command& command);
void add_doctor(CLI::App& app, Command& command);
void add_status(CLI::App& app, Command& command);
void add_evaluate(CLI::App& app, Command& command);
void add_generate(CLI::App& app, Command& command);
void add_gradients(CLI::App& app, Command& command);
void add_checkpoint(CLI::App& app, Command& command);
void add_data(CLI::App& app, Command& command);
void add_data_tokenize(CLI::App& data, Command& command);
void add_plugin(CLI::App& app, Command& command);
void add_open_plugin(CLI::App& app,
                     Command& command);  // hidden: the child of a plugin's first load
void add_report_crash(CLI::App& app, Command& command);  // hidden: writes what crashed (crash.h)

/// "0.1.0 (commit 1a2b3c)".
std::string own_version();
/// Several lines: Triga with commit, LibTorch, MPI.
std::string version_text();

}  // namespace triga
