// The words that an experiment may use, and those that people use for them elsewhere: what an
// unknown key is answered with.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "triga/config_node.h"

namespace triga {

/// One word and what to tell somebody who wrote it where it is not known.
struct Hint {
  std::string word;
  std::string answer;
};

/// The names of other tools in a JSON Schema made by Fields::schema ("x-known-as", "x-hints"), with
/// answers that name keys from `path` on: {"lr", "Triga calls it optimizer.learning_rate"}.
std::vector<Hint> foreign_names(const ConfigNode& schema, const std::string& path);

/// The error for an unknown key of a mapping. `allowed`: the keys that are known in it. `own`,
/// `whole`: schemas of the mapping and of the file.
ConfigError unknown_key(const ConfigNode& value, const std::string& key,
                        const std::vector<std::string>& allowed, const ConfigNode& own,
                        const ConfigNode& whole);

/// "'adam' is not one of: adamw, sgd; did you mean adamw?"
std::string unknown_word(const std::string& word, const std::vector<std::string>& allowed);

/// The word that was probably meant; "" when none is near. Case and '_' against '-' do not count.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

/// "a, b, c".
std::string join(const std::vector<std::string>& words, std::string_view separator = ", ");

}  // namespace triga
