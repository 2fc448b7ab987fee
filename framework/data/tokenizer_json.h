// What all tokenizer.json of Hugging Face tokenizers have in common, whatever their model is: read
// and written piece by piece. A setting that a tokenizer kind does not have is refused by name, so
// that no file is read as something else than it is.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "data/added_tokens.h"

namespace triga {

/// Names the file, and who reads it, in messages.
struct TokenizerFile {
  std::string place;  // the file's name
  std::string kind;   // of the tokenizer: "byte_bpe"
};

using Json = nlohmann::json;  // an ordered one would take quadratic time to read a vocabulary
using OrderedJson = nlohmann::ordered_json;

/// Throws: ConfigError.
[[noreturn]] void refuse(const TokenizerFile& file, const std::string& why);

/// Throws: ConfigError when it is no JSON object.
Json parse_json(std::string_view text, const TokenizerFile& file);

/// The model of a tokenizer.json. Throws: ConfigError when it has none, or one of another type;
/// files of old versions leave the type out.
const Json& model_of(const Json& json, const char* type, const TokenizerFile& file);

/// Refuses a setting with a value other than those that mean "not used", or `supported`. `path`:
/// of the object in the file.
void expect(const Json& object, const char* key, const Json& supported, const std::string& path,
            const TokenizerFile& file);

bool flag(const Json& object, const char* key, bool default_value);

/// The type of the normalizer, pre_tokenizer, ...; "none" when the file has none.
std::string type_of(const Json& json, const char* part);

/// [id] name; "": no token has that id. Throws: ConfigError.
std::vector<std::string> read_vocab(const Json& vocab, const TokenizerFile& file);

/// The added tokens, which get their names as well. Throws: ConfigError.
std::vector<AddedToken> read_added_tokens(const Json& json, std::vector<std::string>& names,
                                          const TokenizerFile& file);

/// {name: id}
OrderedJson vocab_json(const std::vector<std::string>& names);

/// What stands in a tokenizer.json; null: none.
struct TokenizerParts {
  std::vector<AddedToken> added;
  OrderedJson normalizer, pre_tokenizer, post_processor, decoder, model;
};
std::string tokenizer_json(const TokenizerParts& parts);

}  // namespace triga
