// What layers declare, known without memory for any of it: for checks and plans.
#pragma once

#include <string>
#include <vector>

#include "parameters/parameter_store.h"
#include "triga/architecture.h"
#include "triga/layer.h"

namespace triga {

struct Declaration {
  ParameterSpec spec;
  std::string component;
  bool is_trainable = true;  // by its layer, and by the rules
};

/// The architecture's; what it or the building of one throws names its plugin.
std::vector<LayerSpec> layers_of(const Architecture& architecture);

/// [layer] the parameters and buffers that it declares; one that layers share is in each of them.
std::vector<std::vector<Declaration>> declarations_of(const std::vector<LayerSpec>& layers,
                                                      const std::vector<GroupRule>& rules = {});

}  // namespace triga
