// Programs that are started: where they lie, how their arguments are written for a shell, and what
// each rank runs.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "config/experiment.h"

namespace triga {

/// In PATH; empty: it is not there.
std::filesystem::path find_program(const std::string& name);

/// What a program writes to standard output and error within `patience`, whatever its status;
/// nothing: it could not be started, or was still running, and was ended.
std::optional<std::string> run_program(const std::vector<std::string>& line,
                                       std::chrono::milliseconds patience);

/// One word for bash, in quotes only where it needs them.
std::string shell_word(const std::string& text);
std::string shell_line(const std::vector<std::string>& words);

/// What goes on with a run that these words of a command line started: all but --fresh, which
/// holds for a first start, and --print.
std::string command_to_go_on(const std::vector<std::string>& words);

/// The words that start the command `triga`: in the container, where there is one.
std::vector<std::string> rank_program(const LaunchConfig& config,
                                      const std::filesystem::path& executable);

}  // namespace triga
