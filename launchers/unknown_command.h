// A mistyped subcommand, answered with the nearest one: CLI11 says only that one is required.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

namespace triga {

/// Looks at the words before the first option. Throws: ConfigError that names the nearest command
/// and all there are.
void refuse_unknown_command(const CLI::App& app, const std::vector<std::string>& arguments);

}  // namespace triga
