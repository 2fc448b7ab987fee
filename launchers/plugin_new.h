// triga plugin new: the folder of a new plugin, from the files of share/triga/scaffold.
#pragma once

#include <filesystem>
#include <string>

#include "launchers/environment.h"

namespace triga {

/// Makes `folder`/`name`, all of it or nothing; in the files the word `my_plugin` becomes `name`.
/// Returns what to type next. Throws: ConfigError for a name that cannot be a plugin's or is one's
/// already, and when something of that name is there, or cannot be written.
std::string new_plugin(const CommandEnvironment& environment, const std::string& name,
                       const std::filesystem::path& folder);

}  // namespace triga
