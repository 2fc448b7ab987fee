#include "data/bytes_tokenizer.h"

#include <nlohmann/json.hpp>

#include "data/utf8.h"
#include "triga/error.h"

namespace triga {
namespace {

/// UTF-8 of a code point below 0x800.
std::string utf8_of(int code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xC0 | code_point >> 6), static_cast<char>(0x80 | (code_point & 0x3F))};
}

/// How byte-level BPE writes a byte in its vocabulary (Radford et al. 2019): printable ones of
/// Latin-1 as they are, the others in order as U+0100, U+0101, ...
std::map<std::string, int> byte_names() {
  std::map<std::string, int> names;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    names[utf8_of(is_printable ? byte : next++)] = byte;
  }
  return names;
}

}  // namespace

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

std::map<std::string, std::string> BytesTokenizer::files() const {
  using nlohmann::ordered_json;
  const ordered_json byte_level = {{"type", "ByteLevel"},
                                   {"add_prefix_space", false},
                                   {"trim_offsets", true},
                                   {"use_regex", false}};
  const ordered_json end_of_text = {
      {"id", kEndOfText}, {"content", kEndOfTextName}, {"single_word", false}, {"lstrip", false},
      {"rstrip", false},  {"normalized", false},       {"special", true}};
  ordered_json vocab;
  for (const auto& [name, byte] : byte_names()) vocab[name] = byte;
  const ordered_json tokenizer = {{"version", "1.0"},
                                  {"truncation", nullptr},
                                  {"padding", nullptr},
                                  {"added_tokens", ordered_json::array({end_of_text})},
                                  {"normalizer", nullptr},
                                  {"pre_tokenizer", byte_level},
                                  {"post_processor", nullptr},
                                  {"decoder", byte_level},
                                  {"model",
                                   {{"type", "BPE"},
                                    {"dropout", nullptr},
                                    {"unk_token", nullptr},
                                    {"continuing_subword_prefix", nullptr},
                                    {"end_of_word_suffix", nullptr},
                                    {"fuse_unk", false},
                                    {"byte_fallback", false},
                                    {"vocab", vocab},
                                    {"merges", ordered_json::array()}}}};
  const ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                               {"eos_token", kEndOfTextName},
                               {"split_special_tokens", true},
                               {"clean_up_tokenization_spaces", false}};
  return {{"tokenizer.json", tokenizer.dump(2) + "\n"},
          {"tokenizer_config.json", config.dump(2) + "\n"}};
}

}  // namespace triga
