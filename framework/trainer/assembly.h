// Assembly: everything that an experiment names, made from the registry: tokenizer, architecture,
// datasets, optimizer, schedule, metrics. What a kind's factory throws carries the name of its plugin.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "config/experiment.h"
#include "parallel/strategy.h"
#include "triga/plugin.h"

namespace triga {

struct Assembly {
  std::unique_ptr<Tokenizer> tokenizer;        // null: the experiment names none
  std::unique_ptr<Architecture> architecture;  // not null
  std::unique_ptr<Dataset> train;              // null when made without data
  std::unique_ptr<Dataset> validation;         // null: the experiment has none
  std::unique_ptr<Dataset> test;               // likewise

  std::function<std::unique_ptr<Optimizer>()> make_optimizer;
  /// `default_decay_steps`: the limit of the run's first start; 0: not known.
  std::function<std::unique_ptr<LearningRateSchedule>(int64_t default_decay_steps)> make_schedule;
  /// Those of `eval.metrics`, in its order.
  std::function<std::vector<std::unique_ptr<Metric>>()> make_metrics;
};

using TextFiles = std::map<std::string, std::string>;  // name -> content

/// What tokenizer and training data put into a model directory, beside the architecture's own files.
/// Requires: the training data. Throws: PluginError for a name that another of them gives too, or
/// that is no plain NAME.json or NAME.txt.
TextFiles further_model_files(const Assembly& assembly);
/// All text files of a model directory.
TextFiles model_files(const Assembly& assembly);

/// Which datasets to open: generation needs none.
struct AssemblyOptions {
  bool train = true, validation = true, test = false;
  std::filesystem::path cache_dir;                      // absolute
  std::map<std::string, std::string> checkpoint_files;  // see TokenizerContext::files
  ReportProgress report_progress = no_progress;
};

/// `registry` must outlive the result. Throws: ConfigError, DataError, PluginError.
Assembly assemble(const Experiment& experiment, const Registry& registry,
                  const AssemblyOptions& options);

/// The pipeline's schedule, a user's own read from its file. Throws: ConfigError that names the key.
ScheduleChoice schedule_choice_of(const ParallelConfig& parallel);

/// What an experiment says of how a step is computed. The size of buckets and the pipeline's
/// schedule are left open: a model that is only evaluated needs neither.
Strategy::Options strategy_options_of(const Experiment& experiment);

}  // namespace triga
