// PluginHost: opens plugins by name and keeps them open until the process ends. The way of a
// plugin: found by name, its stamp read from the file, opened once in a child process (only the
// first time for a content), then loaded here and its kinds put into the registry.
#pragma once

#include <deque>
#include <filesystem>
#include <string>
#include <vector>

#include "plugin_host/search_path.h"
#include "plugin_host/trial.h"
#include "triga/plugin.h"

namespace triga {

struct OpenPlugin {
  std::string name, version;
  std::filesystem::path path;  // absolute
  std::string content_hash;    // of the file
};

class PluginHost {
 public:
  /// `registry` outlives the host; what plugins register is added to it.
  PluginHost(Registry& registry, PluginSearchPath search_path, PluginTrial trial)
      : registry_(registry), search_path_(std::move(search_path)), trial_(std::move(trial)) {}

  /// Opens the plugin of this name, or the file of this path (what has a slash in it); once,
  /// however often it is called. The result lives as long as the host. Throws: PluginError; the
  /// registry is then as before.
  const OpenPlugin& open(const std::string& name_or_path);

  const std::deque<OpenPlugin>& opened() const { return opened_; }
  const PluginSearchPath& search_path() const { return search_path_; }

 private:
  const OpenPlugin* find_open(const std::filesystem::path& path) const;
  void check_name(const PluginDescriptor& descriptor, const std::filesystem::path& path,
                  const std::string& wanted) const;

  Registry& registry_;
  PluginSearchPath search_path_;
  PluginTrial trial_;
  std::deque<OpenPlugin> opened_;
};

}  // namespace triga
