// BytesTokenizer: each byte of UTF-8 is a token, its id the byte's value; 256 ends a text. It
// learns nothing and has no files of its own, so it suits first experiments, and any language.
#pragma once

#include "triga/tokenizer.h"

namespace triga {

class BytesTokenizer final : public Tokenizer {
 public:
  static constexpr int32_t kEndOfText = 256;
  static constexpr const char* kEndOfTextName = "<|endoftext|>";

  int64_t vocab_size() const override { return 257; }
  /// Never gives kEndOfText, also for a text that holds its name.
  std::vector<int32_t> encode(std::string_view text) const override;
  /// U+FFFD stands for bytes that are no UTF-8, such as a character that is cut; the end of text
  /// gives its name. Throws: Error for a number that is no token.
  std::string decode(const std::vector<int32_t>& tokens) const override;
  std::optional<int32_t> end_of_text() const override { return kEndOfText; }
  /// By its name in tokenizer.json, where bytes are written as in byte_level.h.
  std::optional<int32_t> token_id(std::string_view token) const override;
  /// tokenizer.json and tokenizer_config.json: byte-level BPE without merges, which gives the same
  /// ids.
  std::map<std::string, std::string> files() const override;
};

}  // namespace triga
