// WordPieceModel: all that a WordPiece tokenizer is, read from and written to the files of Hugging Face
// tokenizers: tokenizer.json, or BERT's vocab.txt.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/added_tokens.h"
#include "data/bert_text.h"
#include "data/word_pieces.h"

namespace triga {

/// What an experiment may say of it, or a file beside the vocabulary; nothing: not said.
struct WordPieceSettings {
  std::optional<bool> lowercase, strip_accents, handle_chinese_chars, clean_text;
  std::optional<int64_t> max_input_chars_per_word;
  std::optional<std::string> continuing_prefix, unk_token;
};

struct WordPieceModel {
  std::vector<std::string> names;  // [id] pieces of words; "": none. Of equal ones the last counts
  std::vector<AddedToken> added;   // their ids may lie behind those of the names
  BertText reading;
  WordPieces::Options pieces;
  bool cleans_up = true;  // decoding takes the spaces before signs away

  /// BERT's, but for what the settings say. Without a vocabulary.
  static WordPieceModel with(const WordPieceSettings& settings);

  /// The special tokens of BERT: padding, unknown, first, last, masked.
  std::vector<std::string> special_tokens() const;
  /// Those of them that the vocabulary has become added tokens.
  void add_special_tokens();
};

/// `place`: the file's name, for messages. Throws: ConfigError when it is no tokenizer.json, one of
/// another sort (named), or one that differs from what `settings` say.
WordPieceModel parse_wordpiece_json(std::string_view json, const WordPieceSettings& settings,
                                    const std::string& place);

/// A piece a line; its id is the number of the lines before it. What `settings` leave open is read
/// from the tokenizer_config.json of the same folder ("": there is none), if it says so. Throws:
/// ConfigError.
WordPieceModel parse_vocab_txt(std::string_view vocab_txt, std::string_view tokenizer_config,
                               const WordPieceSettings& settings, const std::string& place);

/// tokenizer.json, which parse_wordpiece_json and `tokenizers` read.
std::string to_tokenizer_json(const WordPieceModel& model);

/// All files by name: tokenizer.json, tokenizer_config.json, and vocab.txt where a list of lines can
/// say what the vocabulary is.
std::map<std::string, std::string> files_of(const WordPieceModel& model);

}  // namespace triga
