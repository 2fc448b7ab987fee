#include "data/added_tokens.h"

#include <fmt/format.h>

#include "triga/error.h"

namespace triga {

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  for (const AddedToken& token : tokens_)
    if (first_bytes_.find(token.text[0]) == std::string::npos) first_bytes_ += token.text[0];
}

void AddedTokens::split(std::string_view text,
                        const std::function<void(std::string_view)>& visit_part,
                        const std::function<void(const AddedToken&)>& visit_token) const {
  for (size_t begin = 0; (begin = text.find_first_of(first_bytes_, begin)) != text.npos;) {
    const AddedToken* token = longest_at(text.substr(begin));
    if (token == nullptr) {
      ++begin;
      continue;
    }
    if (begin > 0) visit_part(text.substr(0, begin));
    visit_token(*token);
    text.remove_prefix(begin + token->text.size());
    begin = 0;
  }
  if (!text.empty()) visit_part(text);
}

const AddedToken* AddedTokens::longest_at(std::string_view text) const {
  const AddedToken* longest = nullptr;
  for (const AddedToken& token : tokens_)
    if (text.starts_with(token.text) &&
        (longest == nullptr || token.text.size() > longest->text.size()))
      longest = &token;
  return longest;
}

const AddedToken* AddedTokens::find(std::string_view text) const {
  for (const AddedToken& token : tokens_)
    if (token.text == text) return &token;
  return nullptr;
}

std::optional<int32_t> AddedTokens::end_of_text(const std::string& text) const {
  if (text.empty()) return std::nullopt;
  if (const AddedToken* token = find(text)) return token->id;
  std::string known;
  for (const AddedToken& token : tokens_) known += (known.empty() ? "'" : ", '") + token.text + "'";
  throw ConfigError(fmt::format(
      "end_of_text: '{}' is no added token of the tokenizer; {}; end_of_text: '' says that "
      "documents have no end",
      text, known.empty() ? "it has none" : "it has " + known));
}

}  // namespace triga
