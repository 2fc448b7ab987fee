// What BERT's inputs are made of: the tokens of a text between [CLS] and [SEP], padded to the
// longest of a batch; and, to learn from text alone, the choice of the tokens that are to be guessed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triga/batch.h"
#include "triga/random.h"
#include "triga/tokenizer.h"

namespace triga::transformer {

/// The special tokens of a vocabulary.
struct BertTokens {
  int32_t cls = 0, sep = 0, pad = 0, mask = 0;
  std::vector<int32_t> special;  // these and [UNK], ascending: never masked, never drawn
  int64_t vocab_size = 0;        // of the tokenizer

  bool is_special(int64_t token) const;
  /// Any token that is not special. Requires: there is one.
  int64_t draw(RandomStream& random) const;
};

/// Throws: ConfigError when there is no tokenizer, or it lacks one of the tokens.
BertTokens bert_tokens(const Tokenizer* tokenizer, const std::string& kind);

using TokenRow = std::vector<int64_t>;

/// [CLS] tokens [SEP]; a [SEP] that ends the tokens already stays one. Throws: DataError when the
/// sample has no row of tokens, or more than fit in `context_length`.
TokenRow bert_row(const Sample& sample, const BertTokens& tokens, int64_t context_length);

/// "input_ids" int64 [B, T], and, if the rows differ in length, "attention_mask" bool [B, T]: true
/// where there is a token.
NamedTensors pad_rows(const std::vector<TokenRow>& rows, const BertTokens& tokens);

/// Places of a row that are to be guessed, ascending, and what stood there.
struct MaskedPlaces {
  std::vector<int64_t> positions, labels;
};

/// Chooses `share` of the ordinary tokens of a row (at least one, if there are any) without
/// replacement, and makes 80 % of them [MASK], 10 % another token; the rest stays (Devlin et al.
/// 2019, 3.1).
MaskedPlaces mask_row(TokenRow& row, const BertTokens& tokens, double share, RandomStream random);

}  // namespace triga::transformer
