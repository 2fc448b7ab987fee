#include "data/bytes_tokenizer.h"

#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "data/byte_bpe_model.h"
#include "data/byte_level.h"
#include "triga/error.h"

namespace triga {
std::vector<int32_t> BytesTokenizer::encode(std::string_view text) const {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  return {bytes, bytes + text.size()};
}

std::string BytesTokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string bytes;
  for (int32_t token : tokens) {
    TRIGA_CHECK(0 <= token && token < vocab_size(), "token ", token, " of ", vocab_size());
    if (token == kEndOfText) {
      bytes += kEndOfTextName;
    } else {
      bytes += static_cast<char>(token);
    }
  }
  return replace_invalid_utf8(bytes);
}

std::optional<int32_t> BytesTokenizer::token_id(std::string_view token) const {
  if (token == kEndOfTextName) return kEndOfText;
  const std::optional<std::string> bytes = bytes_of_name(token);
  if (!bytes || bytes->size() != 1) return std::nullopt;
  return static_cast<unsigned char>((*bytes)[0]);
}

std::map<std::string, std::string> BytesTokenizer::files() const {
  ByteBpeModel model;
  model.names.assign(byte_names().begin(), byte_names().end());
  model.added = {{kEndOfTextName, kEndOfText, true}};
  model.cuts_pieces = false;
  const nlohmann::ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                         {"eos_token", kEndOfTextName},
                                         {"split_special_tokens", true},
                                         {"clean_up_tokenization_spaces", false}};
  return {{"tokenizer.json", to_tokenizer_json(model)},
          {"tokenizer_config.json", config.dump(2) + "\n"}};
}

}  // namespace triga
