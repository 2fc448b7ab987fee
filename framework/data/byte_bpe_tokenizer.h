// ByteBpeTokenizer: byte-level byte-pair encoding, as GPT-2's (Radford et al. 2019). Its ids are
// those of Hugging Face tokenizers for the same files.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/added_tokens.h"
#include "data/bpe.h"
#include "data/byte_bpe_model.h"
#include "data/piece_tokens.h"
#include "triga/tokenizer.h"

namespace triga {

class ByteBpeTokenizer final : public Tokenizer {
 public:
  /// `end_of_text`: the added token that ends a document; "": there is none. `files`: what files()
  /// gives; empty: made from the model. Throws: ConfigError.
  ByteBpeTokenizer(ByteBpeModel model, const std::string& end_of_text,
                   std::map<std::string, std::string> files = {});

  int64_t vocab_size() const override { return static_cast<int64_t>(model_.names.size()); }
  /// Added tokens that stand in the text become their ids. Bytes that are no UTF-8 are read as
  /// U+FFFD, as Python's `errors="replace"` does.
  std::vector<int32_t> encode(std::string_view text) const override;
  /// With U+FFFD for bytes that are no UTF-8, such as a character that is cut. Throws: Error for a
  /// number that is no token.
  std::string decode(const std::vector<int32_t>& tokens) const override;
  std::optional<int32_t> end_of_text() const override { return end_of_text_; }
  /// By its name: vocabularies write bytes as in byte_level.h.
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::map<std::string, std::string> files() const override;

 private:
  void encode_part(std::string_view part, PieceTokens& known, std::vector<int32_t>& tokens) const;

  ByteBpeModel model_;
  std::vector<std::string> bytes_;  // [id] what it decodes to
  BytePairs pairs_;
  AddedTokens added_;
  std::unordered_map<std::string_view, int32_t> whole_;  // piece -> token, where merges are ignored
  std::optional<int32_t> end_of_text_;
  std::map<std::string, std::string> files_;
};

/// A vocabulary learned from text: `end_of_text` gets id 0, then come the bytes and the merges.
ByteBpeModel learned_model(const BytePairs::Merges& merges, const std::vector<std::string>& tokens,
                           const std::string& end_of_text);

}  // namespace triga
