#include "transformer/bert_tokens.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "triga/error.h"

namespace triga::transformer {
namespace {

constexpr double kShareMasked = 0.8, kShareReplaced = 0.1;

}  // namespace

bool BertTokens::is_special(int64_t token) const {
  return std::binary_search(special.begin(), special.end(), token);
}

int64_t BertTokens::draw(RandomStream& random) const {
  int64_t token = random.below(vocab_size - static_cast<int64_t>(special.size()));
  for (const int32_t skipped : special) token += token >= skipped ? 1 : 0;
  return token;
}

BertTokens bert_tokens(const Tokenizer* tokenizer, const std::string& kind) {
  const std::string needs =
      "kind " + kind + " needs a tokenizer with the tokens [CLS], [SEP], [PAD] and [MASK]";
  if (tokenizer == nullptr) throw ConfigError(needs + " (data.tokenizer)");
  BertTokens tokens;
  tokens.vocab_size = tokenizer->vocab_size();
  std::string missing;
  for (const auto& [text, id] :
       {std::pair{"[CLS]", &tokens.cls}, std::pair{"[SEP]", &tokens.sep},
        std::pair{"[PAD]", &tokens.pad}, std::pair{"[MASK]", &tokens.mask}}) {
    const auto found = tokenizer->token_id(text);
    if (!found) {
      missing += c10::str(missing.empty() ? "" : ", ", text);
      continue;
    }
    *id = *found;
    tokens.special.push_back(*found);
  }
  if (!missing.empty()) throw ConfigError(needs + "; this one (data.tokenizer) lacks " + missing);
  if (const auto unknown = tokenizer->token_id("[UNK]")) tokens.special.push_back(*unknown);
  std::sort(tokens.special.begin(), tokens.special.end());
  return tokens;
}

TokenRow bert_row(const Sample& sample, const BertTokens& tokens, int64_t context_length) {
  const at::Tensor* found = sample.find("tokens");
  if (found == nullptr || found->dim() != 1 || found->scalar_type() != at::kLong)
    throw DataError("a sample has no `tokens` that are one row of int64, which the model reads");
  const at::Tensor text = found->contiguous();
  TokenRow row = {tokens.cls};
  row.insert(row.end(), text.const_data_ptr<int64_t>(),
             text.const_data_ptr<int64_t>() + text.numel());
  if (row.size() == 1 || row.back() != tokens.sep) row.push_back(tokens.sep);
  if (static_cast<int64_t>(row.size()) > context_length)
    throw DataError(c10::str("a sample has ", text.numel(),
                             " tokens, but with [CLS] and [SEP] the model reads at most "
                             "context_length = ",
                             context_length, ": raise context_length or cut the samples"));
  return row;
}

NamedTensors pad_rows(const std::vector<TokenRow>& rows, const BertTokens& tokens) {
  const auto num_rows = static_cast<int64_t>(rows.size());
  size_t longest = 0, shortest = SIZE_MAX;
  for (const TokenRow& row : rows) {
    longest = std::max(longest, row.size());
    shortest = std::min(shortest, row.size());
  }
  const auto time = static_cast<int64_t>(longest);
  const at::Tensor input_ids = at::full({num_rows, time}, tokens.pad, at::kLong);
  const at::Tensor mask = at::zeros({num_rows, time}, at::kBool);
  auto* id = input_ids.mutable_data_ptr<int64_t>();
  auto* is_there = mask.mutable_data_ptr<bool>();
  for (const TokenRow& row : rows) {
    std::copy(row.begin(), row.end(), id);
    std::fill_n(is_there, row.size(), true);
    id += time;
    is_there += time;
  }
  NamedTensors fields = {{"input_ids", input_ids}};
  if (shortest < longest) fields.set("attention_mask", mask);  // without, attention is faster
  return fields;
}

MaskedPlaces mask_row(TokenRow& row, const BertTokens& tokens, double share, RandomStream random) {
  std::vector<int64_t> places;
  for (size_t i = 0; i < row.size(); ++i)
    if (!tokens.is_special(row[i])) places.push_back(static_cast<int64_t>(i));
  const auto num_places = static_cast<int64_t>(places.size());
  const int64_t wanted = std::max<int64_t>(1, std::llround(share * double(num_places)));
  const int64_t count = std::min(wanted, num_places);
  for (int64_t i = 0; i < count; ++i)
    std::swap(places[static_cast<size_t>(i)],
              places[static_cast<size_t>(i + random.below(num_places - i))]);
  places.resize(static_cast<size_t>(count));
  std::sort(places.begin(), places.end());
  MaskedPlaces masked{places, {}};
  for (const int64_t place : places) {
    int64_t& token = row[static_cast<size_t>(place)];
    masked.labels.push_back(token);
    const double fate = random.uniform();
    if (fate < kShareMasked)
      token = tokens.mask;
    else if (fate < kShareMasked + kShareReplaced)
      token = tokens.draw(random);
  }
  return masked;
}

}  // namespace triga::transformer
