// An experiment file as one node: read, changed by `--set`, its variables replaced. What comes
// before any meaning of keys.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "triga/config_node.h"

namespace triga {

/// What ${...} in a value stands for. `$$` stands for a single `$`.
struct Variables {
  std::string data_dir = "data";  // ${data}; relative to the working directory
  /// ${env:NAME}. The environment is read in launchers only, so they bring this.
  std::function<std::optional<std::string>(const std::string& name)> environment;
};

struct ConfigSource {
  std::string file;
  std::vector<std::string> overrides;  // "train.max_steps=50", as given to --set
  Variables variables;
  std::vector<std::string> site_files = {};  // laid over `launch` one by one, before the overrides
};

/// Throws: ConfigError (no such file, not YAML, a bad --set, an unknown variable).
ConfigNode load_config(const ConfigSource& source);

/// The text of a file. Throws: ConfigError when there is none, with the nearest name in its folder.
std::string read_config_file(const std::string& file);

/// Lays the `launch` of a site file over that of an experiment: mappings key by key, other values in
/// whole. A site file has no other key. Throws: ConfigError.
void merge_site(ConfigNode& root, const ConfigNode& site);

/// Applies one `--set`: "a.b[0].c=VALUE", VALUE as in YAML. Makes the mappings on the way. Throws:
/// ConfigError.
void apply_override(ConfigNode& root, const std::string& setting);

/// Replaces the variables in every value. Throws: ConfigError.
void expand_variables(ConfigNode& node, const Variables& variables);

/// Makes values survive expand_variables as they are: `$$` for each `$`.
void escape_variables(ConfigNode& node);

}  // namespace triga
