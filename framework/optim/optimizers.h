// The optimizers of the core: adamw, adam, sgd. Each update is one fused kernel of LibTorch over
// all slices of a group.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_core_optimizers(Registry& registry);

}  // namespace triga
