// The tokenizer kind `byte_bpe`: read from a file, or learned from the training data.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_byte_bpe(Registry& registry);

}  // namespace triga
