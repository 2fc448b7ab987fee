#include "conformance/core_optimizer.h"

#include "config/find_kind.h"
#include "optim/optimizers.h"

namespace triga::conformance {

std::unique_ptr<Optimizer> core_optimizer(const std::string& kind) {
  Registry registry;
  register_core_optimizers(registry);
  return find_kind(registry.optimizers, "optimizer", "", ConfigNode::make_scalar(kind))
      .create(ConfigNode::make_mapping(), {});
}

}  // namespace triga::conformance
