// What a JSON Schema of options says, in the words of a page or a terminal.
#pragma once

#include <string>
#include <string_view>

#include "triga/config_node.h"

namespace triga {

/// "integer, at least 1 (samples)": what may stand at a key, with its unit. Words of a choice stand
/// in `backquotes`.
std::string type_in_words(const ConfigNode& schema);

/// As YAML writes it; "" for none and for an empty text.
std::string default_in_words(const ConfigNode& schema);

/// Must `mapping` have this key?
bool is_required(const ConfigNode& mapping, const std::string& key);

/// The text at a key, such as "description"; "" where there is none.
std::string scalar_at(const ConfigNode& schema, std::string_view key);

/// The mapping that a schema describes, or that the items of its list are; null when it is neither.
const ConfigNode* mapping_in(const ConfigNode& schema);

bool is_list(const ConfigNode& schema);

}  // namespace triga
