// JSON as this folder reads it: strictly. No duplicate keys, no deep nesting, every error with the
// file and the place.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace triga {

using Json = nlohmann::ordered_json;

/// `where`: the file, for messages. Throws: CheckpointError.
Json parse_json(std::string_view text, const std::string& where);

/// The member `key` as a T. Throws: CheckpointError when it is missing or of another type.
template <class T>
T json_member(const Json& object, const std::string& key, const std::string& where);

}  // namespace triga
