// How many tokens a language model knows.
#pragma once

#include <cstdint>
#include <optional>

#include "triga/tokenizer.h"

namespace triga::common {

/// `wanted`, else the tokenizer's. `tokenizer` may be null. Throws: ConfigError when neither says
/// it, or `wanted` is under the tokenizer's.
int64_t vocabulary_size(std::optional<int64_t> wanted, const Tokenizer* tokenizer);

}  // namespace triga::common
