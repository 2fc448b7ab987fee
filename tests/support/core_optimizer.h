// An optimizer of the core, with its defaults.
#pragma once

#include <memory>
#include <string>

#include "optim/optimizers.h"

namespace triga::test {

/// "adamw", "sgd".
inline std::unique_ptr<Optimizer> make_core_optimizer(const std::string& name) {
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& kind : registry.optimizers.kinds())
    if (kind.name == name) return kind.create(ConfigNode::make_mapping(), {});
  throw Error("no optimizer " + name);
}

}  // namespace triga::test
