// triga plugin new: the folder of a new plugin, from the files of share/triga/scaffold; of one that
// brings a part only, from share/triga/scaffold_parts and what that part takes of the whole.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "launchers/environment.h"

namespace triga {

/// The parts that there are plugins of: "dataset", ...
std::vector<std::string> scaffold_parts();

/// Makes `folder`/`name`, all of it or nothing; in the files the word `my_plugin` becomes `name`.
/// `part`: one of scaffold_parts(); "": a model and a dataset. Returns what to type next, as the new
/// README.md has it. Throws: ConfigError for a name that cannot be a plugin's or is one's already,
/// and when something of that name is there, or cannot be written.
std::string new_plugin(const CommandEnvironment& environment, const std::string& name,
                       const std::filesystem::path& folder, const std::string& part);

}  // namespace triga
