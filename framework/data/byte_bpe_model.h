// ByteBpeModel: all that a byte-level BPE tokenizer is, read from and written to the files of
// Hugging Face tokenizers: tokenizer.json, or GPT-2's vocab.json with merges.txt.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/added_tokens.h"

namespace triga {

struct ByteBpeModel {
  std::vector<std::string> names;  // [id] as vocabularies write bytes (byte_level.h); "": none
  std::vector<std::pair<std::string, std::string>> merges;  // of names
  std::vector<AddedToken> added;                            // found in a text before anything else
  bool adds_prefix_space = false;  // before each part of a text that begins with none
  bool cuts_pieces = true;         // false: merges may cross words
  bool ignores_merges = false;     // a whole piece that is a token is that token
};

/// `place`: the file's name, for messages. Throws: ConfigError when it is no tokenizer.json, or one
/// of another sort (named).
ByteBpeModel parse_tokenizer_json(std::string_view json, const std::string& place);

/// GPT-2's two files. `end_of_text` becomes an added token if the vocabulary has it. Throws:
/// ConfigError.
ByteBpeModel parse_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                                    const std::string& end_of_text, const std::string& place);

/// tokenizer.json, which parse_tokenizer_json and `tokenizers` read.
std::string to_tokenizer_json(const ByteBpeModel& model);

}  // namespace triga
