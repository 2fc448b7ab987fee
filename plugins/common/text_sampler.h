// The sampler `text` of language models: goes on from a prompt, one token at a time, and shows the
// text as it arises.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "triga/sampler.h"

namespace triga::common {

/// The inputs of the sampler; `triga generate --input max_new_tokens=50` sets one.
struct TextInputs {
  std::string prompt = "\n";
  int64_t max_new_tokens = 200;
  double temperature = 1;
  std::optional<int64_t> top_k;
  std::optional<double> top_p;
  int64_t seed = 0;
  int64_t num_samples = 1;
};

void describe(Fields& fields, TextInputs& inputs);

/// Of a model that remembers: no text outgrows it.
inline constexpr int64_t kAnyLength = int64_t{1} << 60;

/// For models that read `input_ids` [B, T], write `logits` [B, T, vocabulary] and keep state by
/// sequence. `context_length`: how many tokens the model can look at. A text that outgrows it goes
/// on from its last half.
SamplerKind text_sampler(int64_t context_length);

}  // namespace triga::common
