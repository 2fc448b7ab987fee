// Experiment: one YAML file as typed values. What stands here is all that an experiment can say,
// but for the options of kinds (a model, a data set, an optimizer ...), which whoever registers the
// kind describes.
//
//   load_config -> ConfigNode -> (plugins opened) -> resolve_experiment -> Experiment
//                                                                       -> text of resolved.yaml
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "triga/config.h"

namespace triga {

/// Something that is registered by name. `plugin`: who registered it; "" is the core.
struct KindConfig {
  std::string plugin;
  std::string kind;
  ConfigNode options;  // the other keys, as in the file; Kind::create reads them
};

struct InitConfig {
  ConfigPath from;                        // a model directory
  bool strict = true;                     // missing and unexpected names are errors
  std::vector<std::string> reinitialize;  // patterns of names that `from` is not used for
  ConfigNode place;
};

struct ModelConfig {
  std::string plugin;
  std::string kind;
  ConfigNode config = ConfigNode::make_mapping();  // the architecture's options
  std::optional<InitConfig> init;
};

struct DataConfig {
  KindConfig train;
  std::optional<KindConfig> validation;
  std::optional<KindConfig> test;
  std::optional<KindConfig> tokenizer;
  bool shuffle = true;
  int64_t prefetch = 2;  // steps made ahead
  ConfigNode place;
};

/// Exactly one is set.
struct GlobalBatchConfig {
  std::optional<int64_t> samples;
  std::optional<int64_t> tokens;
};

/// When a loss is so far above those before it that its step is not trusted.
struct SpikesConfig {
  int64_t window = 128;      // steps whose losses a loss is compared with
  double z_score = 6;        // how many standard deviations above their mean is a spike
  int64_t max_in_a_row = 3;  // so many make the run go back to a checkpoint
  int64_t max_rollbacks = 3;
  ConfigNode place;
};

struct TrainConfig {
  std::optional<int64_t> max_steps;  // exactly one of the three is set
  std::optional<int64_t> max_epochs;
  std::optional<double> max_minutes;
  GlobalBatchConfig global_batch;
  int64_t microbatch_size = 0;  // samples
  int64_t seed = 1;
  double clip_norm = 1;  // 0: none
  std::optional<double> ema_decay;
  std::string precision = "fp32";
  std::string device = "auto";
  bool deterministic = true;
  int64_t max_skipped_steps = 10;  // in a row
  std::optional<SpikesConfig> spikes;
  ConfigNode place;
};

/// Of parameters whose name matches; later groups win.
struct GroupConfig {
  std::string match;  // regular expression (ECMAScript), searched in the name
  std::optional<double> learning_rate_scale;
  std::optional<double> weight_decay;
  bool frozen = false;
  ConfigNode place;
};

struct OptimizerConfig : KindConfig {
  OptimizerConfig() { kind = "adamw"; }
  double learning_rate = 0;
  std::vector<GroupConfig> groups;
};

struct LearningRateScheduleConfig : KindConfig {
  LearningRateScheduleConfig() { kind = "constant"; }
};

struct ParallelConfig {
  std::optional<int64_t> dp;  // empty: all ranks
  int64_t pp = 1;
  std::string pipeline_schedule = "1f1b";
  std::optional<ConfigPath> pipeline_schedule_file;  // a user's own, in place of it
  std::optional<int64_t>
      pipeline_chunks;  // stages a rank; empty: the least that the schedule takes
  /// First layer of each stage but the first; or uniform, auto.
  ListOrWord<int64_t> partition = {{}, "uniform"};
  int64_t zero = 1;
  std::string recompute = "none";
  std::optional<int64_t> bucket_bytes;  // empty: measured at the first start on several ranks
  std::optional<int64_t> threads;       // of a rank; empty: its share of the host's cores
  double communication_timeout = 300;   // seconds
  ConfigNode place;
};

struct EvalConfig {
  int64_t every_steps = 500;  // 0: after the last step only
  int64_t patience = 0;       // evaluations; 0: no early stopping
  std::vector<KindConfig> metrics;
};

struct KeepBestConfig {
  enum class Mode { kMin, kMax };
  std::string metric = "validation/loss";
  Mode mode = Mode::kMin;
  int64_t count = 1;
  ConfigNode place;
};

struct CheckpointConfig {
  int64_t every_steps = 500;            // 0: not by steps
  std::optional<double> every_minutes;  // beside every_steps
  bool asynchronous = true;             // written while training goes on
  int64_t keep_last = 3;
  std::optional<KeepBestConfig> keep_best;  // resolved: set when data.validation is
};

/// What the model's sampler makes during training, for people to look at.
struct SamplesConfig {
  int64_t every_steps = 500;                       // 0: after the last step only
  ConfigNode inputs = ConfigNode::make_mapping();  // the sampler's
  ConfigNode place;
};

struct LogConfig {
  enum class Format { kText, kJson };
  enum class MeasureLinks { kAuto, kAlways, kNever };
  int64_t every_steps = 10;
  Format format = Format::kText;  // of the lines of log/
  MeasureLinks measure_links = MeasureLinks::kAuto;
  std::optional<int64_t> prometheus_port;  // on the host of rank 0; empty: no metrics by HTTP
  int64_t gradient_norms_every_steps = 0;  // 0: never
  std::optional<SamplesConfig> samples;
};

/// What ranks run in, each of them.
struct ContainerConfig {
  ConfigPath image;
  std::vector<std::string> command = {"apptainer", "exec"};  // the words before the image
  std::string triga;  // path of the command in the image; "": where it is outside
};

/// How ranks are started. Never changes the run; a site file may change it (site_file.h).
struct LaunchConfig {
  int64_t nodes = 1;
  int64_t ranks_per_node = 1;
  std::optional<int64_t> gpus_per_node;  // empty: none are asked for
  std::optional<int64_t> cpus_per_rank;  // empty: what the scheduler gives
  std::string memory;                    // of a host, "64G"; "": what the scheduler gives
  std::string time, partition, account;  // "": the scheduler's default
  int64_t save_before_seconds = 120;     // before the time limit
  int64_t max_restarts = 0;              // of triga launch, after a lost rank or host
  std::string array;                     // "0-7%2"; "": one run
  std::vector<std::string> modules;
  std::vector<std::string> setup;  // lines of bash
  std::map<std::string, std::string> environment;
  std::optional<ContainerConfig> container;
  std::vector<std::string> sbatch, srun, mpirun;  // further arguments, passed unchanged

  int64_t num_ranks() const { return nodes * ranks_per_node; }
};

struct Experiment {
  std::string name;
  ModelConfig model;
  DataConfig data;
  TrainConfig train;
  OptimizerConfig optimizer;
  LearningRateScheduleConfig learning_rate_schedule;
  ParallelConfig parallel;
  EvalConfig eval;
  CheckpointConfig checkpoint;
  LogConfig log;
  LaunchConfig launch;
};

void describe(Fields& fields, Experiment& config);

}  // namespace triga
