// The inputs of samplers: arguments `--input KEY=VALUE`, and the file of `triga generate --inputs`,
// JSON lines, each an object with the inputs of one generation.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "triga/config_node.h"

namespace triga {

/// Of one generation. Throws: ConfigError for an argument that is no KEY=VALUE.
ConfigNode inputs_of(const std::vector<std::string>& assignments);

/// One object for each line that is not blank; a place in it says "inputs.jsonl:2: prompt". Reads
/// all of the file before the first generation begins. Throws: DataError when it cannot be read,
/// ConfigError when a line is no JSON object.
std::vector<ConfigNode> read_inputs_file(const std::string& file);

/// `place`: the file and line. Throws: ConfigError.
ConfigNode parse_inputs(std::string_view line, const std::string& place);

}  // namespace triga
