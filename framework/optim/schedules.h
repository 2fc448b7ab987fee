// Learning-rate schedules of the core: constant, linear, cosine, inverse_sqrt, each with a linear
// warm-up.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_core_schedules(Registry& registry);

}  // namespace triga
