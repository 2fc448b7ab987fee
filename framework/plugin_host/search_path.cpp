#include "plugin_host/search_path.h"

#include <algorithm>

#include "base/absolute_path.h"
#include "config/vocabulary.h"
#include "triga/error.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

std::vector<PluginSearchPath::Found> plugins_in(const fs::path& folder) {
  std::vector<PluginSearchPath::Found> found;
  std::error_code error;  // a folder that is not there, or that may not be read, has none
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const auto& path = it->path();
    if (path.extension() == ".so") found.push_back({path.stem().string(), absolute_path(path)});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return found;
}

std::string names(const std::vector<PluginSearchPath::Found>& plugins) {
  std::vector<std::string> all;
  for (const auto& plugin : plugins) all.push_back(plugin.name);
  return join(all);
}

}  // namespace

std::vector<PluginSearchPath::Found> PluginSearchPath::all() const {
  std::vector<Found> all;
  for (const auto& folder : folders_)
    for (auto& plugin : plugins_in(folder)) all.push_back(std::move(plugin));
  std::stable_sort(all.begin(), all.end(),
                   [](const auto& a, const auto& b) { return a.name < b.name; });
  return all;
}

fs::path PluginSearchPath::find(const std::string& name_or_path) const {
  if (name_or_path.find('/') != std::string::npos) return absolute_path(name_or_path);
  if (given_ && given_->name == name_or_path) return given_->path;
  fs::path found;
  for (const auto& plugin : all()) {
    if (plugin.name != name_or_path) continue;
    std::error_code error;
    if (!found.empty() && !fs::equivalent(found, plugin.path, error))
      throw PluginError(c10::str("two plugins are named '", name_or_path, "':\n  ", found.string(),
                                 "\n  ", plugin.path.string(),
                                 "\nRemove or rename one, or write the path of the one that is "
                                 "meant in place of the name."));
    if (found.empty()) found = plugin.path;
  }
  if (found.empty()) throw_not_found(name_or_path);
  return found;
}

void PluginSearchPath::throw_not_found(const std::string& name) const {
  std::vector<std::string> known;
  std::string searched;
  for (const auto& folder : folders_) {
    const auto plugins = plugins_in(folder);
    for (const auto& plugin : plugins) known.push_back(plugin.name);
    std::error_code error;
    searched += c10::str("\n  ", folder.string(), ": ",
                         !fs::is_directory(folder, error) ? "no such folder"
                         : plugins.empty()                ? "no plugins"
                                                          : names(plugins));
  }
  const auto guess = nearest(name, known);
  throw PluginError(c10::str(
      "there is no plugin '", name, "'", guess.empty() ? "" : "; did you mean " + guess + "?",
      "\nSearched:", searched.empty() ? "\n  no folder" : searched, "\nThe folder that has ", name,
      ".so can be added: export TRIGA_PLUGIN_PATH=FOLDER (':' between "
      "several). Or name the file itself, with a slash: plugin: FOLDER/",
      name, ".so"));
}

}  // namespace triga
