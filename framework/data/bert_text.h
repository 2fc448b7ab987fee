// BertText: how BERT (Devlin et al. 2019) reads a text: cleaned, lower-cased, without accents, and cut
// into words at spaces and signs. The same as Hugging Face's BertNormalizer and BertPreTokenizer, with
// the versions of Unicode that those know (bert_text.cpp).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace triga {

struct BertText {
  bool lowercase = true;
  std::optional<bool> strip_accents = {};  // nothing: as lowercase
  bool handle_chinese_chars = true;        // each ideograph is a word
  bool clean_text = true;                  // without control characters; all white space is ' '

  bool strips_accents() const { return strip_accents.value_or(lowercase); }

  /// Requires: UTF-8.
  std::string normalize(std::string_view text) const;
};

/// Visits the words of a normalized text in order. Requires: UTF-8.
void for_each_bert_word(std::string_view text, const std::function<void(std::string_view)>& visit);

}  // namespace triga
