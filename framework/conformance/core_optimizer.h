// The core's optimizers, for checks that train a little.
#pragma once

#include <memory>
#include <string>

#include "triga/optimizer.h"

namespace triga::conformance {

/// With its defaults.
std::unique_ptr<Optimizer> core_optimizer(const std::string& kind);

}  // namespace triga::conformance
