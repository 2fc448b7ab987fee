// placed: gives a place in the experiment file to errors that arise after it was read, when a kind
// makes its product or finds that its options do not fit the data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "triga/config_node.h"

namespace triga {

/// "experiments/a.yaml:7: data.train: " in front of a message that does not begin with it yet.
inline std::string message_at(const ConfigNode& node, std::string_view message) {
  const std::string place = node.where().empty() ? "" : node.where() + ": ";
  return message.starts_with(place) ? std::string(message) : place + std::string(message);
}

/// What `action` returns. A ConfigError without a line gets the place of `node` in front:
/// "experiments/a.yaml:4: model.config: vocab_size 10 is less than ...". So do a DataError and a
/// CheckpointError, which keep their sort: what they name is a file that the experiment names.
/// A PluginError keeps it too.
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
  } catch (const DataError& error) {
    throw DataError(message_at(node, error.what()));
  } catch (const CheckpointError& error) {
    throw CheckpointError(message_at(node, error.what()));
  } catch (const PluginError& error) {
    throw PluginError(message_at(node, error.what()));
  }
}

}  // namespace triga
