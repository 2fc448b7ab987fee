// How many tokens a model of text knows.
#pragma once

#include <cstdint>
#include <optional>

#include "triga/config.h"
#include "triga/tokenizer.h"

namespace triga::common {

/// The option `vocab_size`.
void describe_vocab_size(Fields& fields, std::optional<int64_t>& vocab_size);

/// `wanted`, else the tokenizer's. `tokenizer` may be null. Throws: ConfigError when neither says
/// it, or `wanted` is under the tokenizer's.
int64_t vocabulary_size(std::optional<int64_t> wanted, const Tokenizer* tokenizer);

}  // namespace triga::common
