// placed: gives a place in the experiment file to errors that arise after it was read, when a kind
// makes its product or finds that its options do not fit the data.
#pragma once

#include <vector>

#include "triga/config_node.h"

namespace triga {

/// What `action` returns. A ConfigError without a line gets the place of `node` in front:
/// "experiments/a.yaml:4: model.config: vocab_size 10 is less than ...".
template <class Action>
auto placed(const ConfigNode& node, Action action) {
  try {
    return action();
  } catch (const ConfigError& error) {
    std::vector<ConfigError::Problem> problems;
    for (const ConfigError::Problem& problem : error.problems) {
      const bool has_line = problem.line > 0;
      problems.push_back(has_line ? problem
                                  : config_error(node, problem.message, problem.place).problems[0]);
    }
    throw ConfigError(std::move(problems));
  }
}

}  // namespace triga
