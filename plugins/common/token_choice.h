// TokenChoice: from the logits of one place to the next token: temperature, top-k, top-p (nucleus:
// Holtzman et al., "The Curious Case of Neural Text Degeneration", ICLR 2020), in the order and
// with the borders of transformers' generate().
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "triga/random.h"

namespace triga::common {

struct TokenChoice {
  double temperature = 1;        // 0: always the most likely token
  std::optional<int64_t> top_k;  // only the k most likely
  std::optional<double> top_p;   // only the fewest most likely whose probabilities add up to p
};

/// The probability of each token after the filters. logits: [vocabulary], any device. Tokens that
/// tie with the last one of top_k stay. Requires: temperature > 0. Throws: Error when a logit is
/// not a number.
std::vector<double> token_probabilities(const at::Tensor& logits, const TokenChoice& choice);

/// The next token; draws one number from `random` unless temperature is 0 (then the first of the
/// largest logits).
int64_t choose_token(const at::Tensor& logits, const TokenChoice& choice, RandomStream& random);

}  // namespace triga::common
