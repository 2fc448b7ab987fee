// May a run go on with this experiment? Only if it is the one that it was started with, but for
// what does not change what is computed.
#pragma once

#include <string>
#include <vector>

#include "triga/config_node.h"

namespace triga {

struct ConfigDifference {
  std::string path;    // "train.seed"
  std::string before;  // values as JSON; "(none)" where there is no such key
  std::string now;
};

/// Keys of two resolved experiments (of the same version of Triga) that differ, other than
/// `parallel`, `launch`, `log`, a larger limit of the same sort, and decay_steps where the new one
/// leaves it to the limit.
std::vector<ConfigDifference> differences_for_resume(const ConfigNode& before,
                                                     const ConfigNode& now);

/// All keys that differ.
std::vector<ConfigDifference> all_differences(const ConfigNode& before, const ConfigNode& now);

}  // namespace triga
