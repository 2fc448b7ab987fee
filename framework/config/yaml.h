// Text to ConfigNode and back. The only door to the YAML library: YAML 1.2 with anchors and
// aliases; without tags, merge keys and several documents, each of which is refused in words.
// Whatever the text, reading ends soon and in a ConfigError or a node.
#pragma once

#include <string>
#include <string_view>

#include "triga/config_node.h"

namespace triga {

/// What an experiment can at most be; more is a mistake (or an attack), and is refused before it
/// costs time.
struct YamlLimits {
  static constexpr size_t kBytes = 1 << 20;
  static constexpr int kDepth = 64;
  static constexpr int kValues = 10000;  // an alias counts as often as it is used
};

/// `name`: of the file, for messages. Throws: ConfigError with "name:line: ...".
ConfigNode parse_yaml(std::string_view text, const std::string& name);

/// The value of one `--set`: no lines, and `path` for its root. Throws: ConfigError.
ConfigNode parse_yaml_value(std::string_view text, const std::string& name,
                            const std::string& path);

/// Gives a node and all in it their paths, from `path` on.
void set_paths(ConfigNode& node, const std::string& path);

/// Reads back as the same node (but for places, and quotes where they change nothing).
std::string write_yaml(const ConfigNode& node);

/// A scalar in quotes is a JSON string; others are numbers, booleans and null as YAML reads them.
std::string write_json(const ConfigNode& node);

}  // namespace triga
