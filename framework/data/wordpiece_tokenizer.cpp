#include "data/wordpiece_tokenizer.h"

#include <list>

#include "base/utf8.h"
#include "triga/error.h"

namespace triga {
namespace {

std::vector<AddedToken> added_before_normalizing(const WordPieceModel& model) {
  std::vector<AddedToken> tokens = model.added;
  std::erase_if(tokens, [](const AddedToken& token) { return token.is_normalized; });
  return tokens;
}

/// As their texts look once they are normalized.
std::vector<AddedToken> added_after_normalizing(const WordPieceModel& model) {
  std::vector<AddedToken> tokens = model.added;
  std::erase_if(tokens, [](const AddedToken& token) { return !token.is_normalized; });
  for (AddedToken& token : tokens) token.text = model.reading.normalize(token.text);
  std::erase_if(tokens, [](const AddedToken& token) { return token.text.empty(); });
  return tokens;
}

/// [id] what it decodes to.
std::vector<std::string> names_of(const WordPieceModel& model) {
  std::vector<std::string> names = model.names;
  for (const AddedToken& token : model.added) {
    const auto index = static_cast<size_t>(token.id);
    if (index >= names.size()) names.resize(index + 1);
    names[index] = token.is_normalized ? model.reading.normalize(token.text) : token.text;
  }
  return names;
}

/// The spaces before signs and English endings, one rule after the other as tokenizers has them.
void clean_up(std::string& text) {
  constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules)
    for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size())
      text.replace(at, from.size(), to);
}

}  // namespace

WordPieceTokenizer::WordPieceTokenizer(const WordPieceModel& model, const std::string& end_of_text,
                                       std::map<std::string, std::string> files)
    : reading_(model.reading),
      pieces_(model.names, model.pieces),
      all_added_(model.added),
      added_(added_before_normalizing(model)),
      normalized_added_(added_after_normalizing(model)),
      continuing_prefix_(model.pieces.continuing_prefix),
      cleans_up_(model.cleans_up),
      names_(names_of(model)),
      end_of_text_(all_added_.end_of_text(end_of_text)),
      files_(std::move(files)) {
  files_.merge(files_of(model));
}

std::vector<int32_t> WordPieceTokenizer::encode(std::string_view text) const {
  std::string valid;
  if (find_invalid_utf8(text)) {
    valid = replace_invalid_utf8(text);
    text = valid;
  }
  std::vector<int32_t> tokens;
  PieceTokens known([&](std::string_view word, auto& of_word) { pieces_.encode(word, of_word); });
  std::list<std::string> normalized;  // words are views: it stays until the end
  const auto add_token = [&](const AddedToken& token) { tokens.push_back(token.id); };
  const auto add_words = [&](std::string_view part) {
    for_each_bert_word(part, [&](std::string_view word) { known.encode(word, tokens); });
  };
  const auto add_part = [&](std::string_view part) {
    normalized_added_.split(normalized.emplace_back(reading_.normalize(part)), add_words,
                            add_token);
  };
  added_.split(text, add_part, add_token);
  return tokens;
}

std::string WordPieceTokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string text, piece;
  bool is_first = true;
  for (const int32_t token : tokens) {
    TRIGA_CHECK(0 <= token && token < vocab_size(), "token ", token, " of ", vocab_size());
    piece = names_[static_cast<size_t>(token)];
    if (piece.empty()) continue;  // an id that is none
    if (!is_first) {
      if (piece.starts_with(continuing_prefix_))
        piece.erase(0, continuing_prefix_.size());
      else
        piece.insert(0, " ");
    }
    if (cleans_up_) clean_up(piece);
    text += piece;
    is_first = false;
  }
  return text;
}

std::optional<int32_t> WordPieceTokenizer::token_id(std::string_view token) const {
  if (const AddedToken* added = all_added_.find(token)) return added->id;
  return pieces_.find(token);
}

}  // namespace triga
