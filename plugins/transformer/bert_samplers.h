// What `triga generate` does with BERT: the most likely tokens for each [MASK] of a text, and the
// class of a text.
#pragma once

#include <cstdint>

#include "transformer/bert_tokens.h"
#include "triga/sampler.h"

namespace triga::transformer {

/// Inputs `text`, with at least one [MASK], and `top_k`. Prints a line for each [MASK].
SamplerKind fill_mask_sampler(const BertTokens& tokens, int64_t context_length);

/// Input `text`, cut to what the model reads. Prints a line for each class, the most likely first.
SamplerKind text_class_sampler(const BertTokens& tokens, int64_t context_length);

}  // namespace triga::transformer
