// read_config_file, merge_site and load_config.
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "config/load.h"
#include "config/vocabulary.h"
#include "config/yaml.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> experiments_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    if (const auto suffix = entry.path().extension(); suffix == ".yaml" || suffix == ".yml")
      names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// "; did you mean a.yaml?", or what else lies in the folder.
std::string suggestion(const fs::path& folder, const std::string& name) {
  constexpr size_t kMostNamed = 8;
  auto names = experiments_in(folder);
  if (names.empty()) return "; no other .yaml file lies in that folder";
  const auto near = nearest(name, names);
  if (!near.empty()) return "; did you mean " + (folder / near).lexically_normal().string() + "?";
  if (names.size() > kMostNamed) names.resize(kMostNamed);
  return "; that folder has " + join(names);
}

void lay_over(ConfigNode& under, const ConfigNode& over) {
  if (under.kind != ConfigNode::Kind::kMapping || over.kind != ConfigNode::Kind::kMapping) {
    under = over;
    return;
  }
  for (const auto& entry : over.entries) {
    const auto known =
        std::find_if(under.entries.begin(), under.entries.end(),
                     [&entry](const ConfigEntry& other) { return other.key == entry.key; });
    if (known == under.entries.end())
      under.add(entry.key, entry.value);
    else
      lay_over(known->value, entry.value);
  }
}

}  // namespace

void merge_site(ConfigNode& root, const ConfigNode& site) {
  constexpr const char* kAllowed =
      "a site file has one key, launch, with what an experiment may "
      "have there, such as launch: {partition: gpu}";
  for (const auto& entry : site.entries) {
    if (entry.key != "launch") throw config_error(entry.value, c10::str("unknown key; ", kAllowed));
    if (entry.value.kind != ConfigNode::Kind::kMapping) throw config_error(entry.value, kAllowed);
    auto launch = ConfigNode::make_mapping();
    launch.add("launch", entry.value);
    lay_over(root, launch);
  }
}

std::string read_config_file(const std::string& file) {
  const fs::path path(file);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : ".";
  std::error_code error;
  const auto status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found && !fs::is_directory(folder, error))
    throw ConfigError(
        c10::str(file, ": no such file; there is no folder ", folder.string(), " either"));
  if (status.type() == fs::file_type::not_found)
    throw ConfigError(
        c10::str(file, ": no such file", suggestion(folder, path.filename().string())));
  if (status.type() == fs::file_type::directory)
    throw ConfigError(
        c10::str(file, ": is a folder; expected an experiment file", suggestion(path, "")));
  if (status.type() != fs::file_type::regular && status.type() != fs::file_type::unknown)
    throw ConfigError(c10::str(file, ": is not a regular file; expected an experiment file"));

  std::ifstream stream(path, std::ios::binary);
  if (!stream) throw ConfigError(c10::str(file, ": cannot be read: ", std::strerror(errno)));
  std::string text(YamlLimits::kBytes + 1,
                   '\0');  // one more, so that parse_yaml sees what is too long
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

ConfigNode load_config(const ConfigSource& source) {
  ConfigNode root = parse_yaml(read_config_file(source.file), source.file);
  for (const auto& file : source.site_files)
    merge_site(root, parse_yaml(read_config_file(file), file));
  for (const auto& setting : source.overrides) apply_override(root, setting);
  expand_variables(root, source.variables);
  return root;
}

}  // namespace triga
