// The descriptions of an experiment's sections, for each other; the outside needs only that of
// Experiment.
#pragma once

#include "config/experiment.h"

namespace triga {

void describe(Fields& fields, KindConfig& config);
void describe(Fields& fields, InitConfig& config);
void describe(Fields& fields, ModelConfig& config);
void describe(Fields& fields, DataConfig& config);
void describe(Fields& fields, GlobalBatchConfig& config);
void describe(Fields& fields, SpikesConfig& config);
void describe(Fields& fields, TrainConfig& config);
void describe(Fields& fields, GroupConfig& config);
void describe(Fields& fields, OptimizerConfig& config);
void describe(Fields& fields, LearningRateScheduleConfig& config);
void describe(Fields& fields, ParallelConfig& config);
void describe(Fields& fields, EvalConfig& config);
void describe(Fields& fields, KeepBestConfig& config);
void describe(Fields& fields, CheckpointConfig& config);
void describe(Fields& fields, SamplesConfig& config);
void describe(Fields& fields, LogConfig& config);
void describe(Fields& fields, ContainerConfig& config);
void describe(Fields& fields, LaunchConfig& config);

/// Why this is no regular expression; nothing when it is one.
std::optional<std::string> not_a_pattern(const std::string& pattern);

/// Keys of other tools that have no counterpart in an experiment.
void describe_foreign(Fields& fields);

}  // namespace triga
