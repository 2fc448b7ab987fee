// The core's kinds, and an architecture as a plugin `transformer` would register it.
#pragma once

#include "triga/plugin.h"

namespace triga {

Registry test_registry();

/// The experiment of this folder, with some lines changed: `changes` are applied as --set does.
ConfigNode test_experiment(const std::vector<std::string>& changes = {});

}  // namespace triga
