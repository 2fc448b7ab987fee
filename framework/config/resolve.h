// resolve_experiment: an experiment with the descriptions of the kinds that it names. What is wrong
// anywhere in the file is found here, before a process group, a device or a data set exists.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/experiment.h"
#include "triga/plugin.h"

namespace triga {

/// The values of `plugin` keys, each once, to be opened before resolve_experiment: names, or paths
/// of files. Whatever else is wrong in the experiment does not matter here. Paths in the experiment
/// become absolute.
std::vector<ConfigNode> named_plugins(ConfigNode& root);

struct ResolvedExperiment {
  Experiment experiment;
  /// Every key with its value, paths absolute: what resolved.yaml holds, as it is read from there.
  ConfigNode node;
};

/// Throws: ConfigError with all that is wrong, in the order of the file.
ResolvedExperiment resolve_experiment(const ConfigNode& root, const Registry& registry);

/// The text of resolved.yaml, which load_config reads as it reads any experiment.
std::string write_resolved(const ConfigNode& resolved);
/// What it was written from. `name`: of the file. Throws: ConfigError.
ConfigNode read_resolved(std::string_view text, const std::string& name);

/// learning_rate_schedule.decay_steps of a resolved experiment: it is the limit of the run's
/// *first* start, and stays when the limit grows. Nothing where the schedule has none, or it was
/// left to the limit and not set yet.
std::optional<int64_t> decay_steps(const ConfigNode& resolved);
/// What it is for a first start that ends after `limit` steps: that, but more than the warm-up, so
/// that a short try of a long experiment has a schedule.
int64_t default_decay_steps(const ConfigNode& resolved, int64_t limit);
/// Sets it where it was left to the limit.
void set_default_decay_steps(ConfigNode& resolved, int64_t steps);

/// parallel.bucket_bytes of a resolved experiment; nothing where it was left to a measurement that
/// was not made yet.
std::optional<int64_t> bucket_bytes(const ConfigNode& resolved);
void set_bucket_bytes(ConfigNode& resolved, int64_t bytes);

/// The cuts of parallel.partition of a resolved experiment; nothing where it has a word.
std::optional<std::vector<int64_t>> partition_cuts(const ConfigNode& resolved);
void set_partition_cuts(ConfigNode& resolved, const std::vector<int64_t>& cuts);

/// Those of log.samples as its sampler resolved them. Requires: there is log.samples. Throws:
/// ConfigError when the run could not go on with them (not UTF-8, too many).
void set_sample_inputs(ConfigNode& resolved, const ConfigNode& inputs);

}  // namespace triga
