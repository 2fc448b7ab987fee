// The first load of a plugin happens in a process of its own: what a static initialiser throws,
// aborts or hangs on can not be caught, so it must end only a child. A file that passed is
// remembered by its content and the versions of Triga and LibTorch, and not tried again; libraries of
// its own that it is linked with are not looked at.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "plugin_host/plugin_file.h"

namespace triga {

struct PluginTrial {
  /// The start of a command line that, with a path added, opens that plugin: its main() prints what
  /// open_for_trial() returns and leaves with 0, or prints the PluginError and leaves with 3.
  /// `triga __open-plugin` is one.
  std::vector<std::string> command;
  /// Remembers; empty, or when it can not be written, every load is a first one.
  std::filesystem::path cache_dir;
  std::chrono::milliseconds time_limit{30000};
};

/// Throws: PluginError with what became of the child, and its last words.
void try_in_child(const PluginFile& file, const PluginTrial& trial);

/// What the child does: loads the plugin and lets it register, for nothing. Result: a line that
/// says so. Throws: PluginError. Ends the process when the plugin does.
std::string open_for_trial(const std::filesystem::path& path);

}  // namespace triga
