// WordPieceTokenizer: words cut into the longest pieces of a vocabulary, as BERT's (Devlin et al.
// 2019). Its ids are those of Hugging Face tokenizers for the same files.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/added_tokens.h"
#include "data/piece_tokens.h"
#include "data/word_pieces.h"
#include "data/wordpiece_model.h"
#include "triga/tokenizer.h"

namespace triga {

class WordPieceTokenizer final : public Tokenizer {
 public:
  /// `end_of_text`: the added token that ends a document; "": there is none. `files`: those of
  /// files() that are given; the others are made from the model. Throws: ConfigError.
  WordPieceTokenizer(const WordPieceModel& model, const std::string& end_of_text,
                     std::map<std::string, std::string> files = {});

  int64_t vocab_size() const override { return static_cast<int64_t>(names_.size()); }
  /// Without the tokens that a model wants around a text ([CLS], [SEP]); added tokens that stand in
  /// the text become their ids. Bytes that are no UTF-8 are read as U+FFFD.
  std::vector<int32_t> encode(std::string_view text) const override;
  /// Words with a space between; no text is the same as before. Throws: Error for a number that is
  /// no token.
  std::string decode(const std::vector<int32_t>& tokens) const override;
  std::optional<int32_t> end_of_text() const override { return end_of_text_; }
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::map<std::string, std::string> files() const override { return files_; }

 private:
  BertText reading_;
  WordPieces pieces_;
  AddedTokens all_added_;
  AddedTokens added_, normalized_added_;  // found in the text, and in the normalized text
  std::string continuing_prefix_;
  bool cleans_up_;
  std::vector<std::string> names_;  // [id] of pieces and added tokens
  std::optional<int32_t> end_of_text_;
  std::map<std::string, std::string> files_;
};

}  // namespace triga
