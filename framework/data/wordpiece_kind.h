// The tokenizer kind `wordpiece`: read from files, or learned from the training data.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_wordpiece(Registry& registry);

}  // namespace triga
