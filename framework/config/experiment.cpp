// What the keys of an experiment mean: its frame, the model and the data. See
// experiment_training.cpp for the rest.
#include "config/experiment.h"

#include <algorithm>
#include <cctype>

#include "config/experiment_sections.h"

namespace triga {
namespace {

void describe_kind(Fields& fields, KindConfig& config, const std::string& what, bool is_required) {
  auto& kind =
      fields.field("kind", config.kind)
          .help("Which " + what + "; `triga list` shows all, `triga describe` its options.")
          .known_as({"type", "_target_", "class_path"});
  if (is_required) kind.required();
  fields.field("plugin", config.plugin)
      .help(
          "Plugin that brings the kind, by name or by the path of its file; empty: Triga itself.");
  fields.rest(config.options);
}

/// Usable as the name of a folder everywhere.
bool is_folder_name(const std::string& name) {
  constexpr size_t kLongest = 100;
  const auto is_allowed = [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '_' || c == '.';
  };
  return !name.empty() && name.size() <= kLongest && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

}  // namespace

void describe(Fields& fields, KindConfig& config) {
  describe_kind(fields, config, "kind", true);
}

void describe(Fields& fields, InitConfig& config) {
  fields.field("from", config.from)
      .help("Model directory of the library that owns the architecture, or a checkpoint of Triga.")
      .required()
      .known_as({"pretrained_model_name_or_path", "checkpoint", "init_from", "pretrained"});
  fields.field("strict", config.strict)
      .help("Whether missing and unexpected names are errors; false: they are listed.")
      .known_as({"strict_loading"});
  fields.field("reinitialize", config.reinitialize)
      .help("Regular expressions; parameters whose name matches one start afresh.")
      .known_as({"ignore_mismatched_sizes"});
  fields.place(config.place);
  fields.rule("reinitialize", [&config]() -> std::optional<std::string> {
    for (const std::string& pattern : config.reinitialize)
      if (auto problem = not_a_pattern(pattern)) return problem;
    return std::nullopt;
  });
}

void describe(Fields& fields, ModelConfig& config) {
  fields.field("plugin", config.plugin)
      .help("Plugin that brings the architecture, by name or by the path of its file.")
      .known_as({"model_type"});
  fields.field("kind", config.kind)
      .help("Which architecture; `triga list` shows all, `triga describe` its options.")
      .required()
      .known_as({"arch", "architecture", "architectures", "type", "_target_", "class_path"});
  fields.field("config", config.config)
      .help("The architecture's options.")
      .known_as({"model_args", "model_config", "init_args", "hparams"});
  fields.field("init", config.init)
      .help("Start from stored weights, not from random ones.")
      .known_as({"model_name_or_path", "init_checkpoint", "pretrained_model", "load_weights"});
}

void describe(Fields& fields, DataConfig& config) {
  fields.field("train", config.train)
      .help("What to train on.")
      .required()
      .known_as({"train_file", "train_files", "train_dataset", "train_data", "train_sets",
                 "data_path", "dataset", "dataset_name"});
  fields.field("validation", config.validation)
      .help("Held out; evaluated during training.")
      .known_as(
          {"valid", "val", "dev", "validation_file", "eval_dataset", "valid_sets", "val_data"});
  fields.field("test", config.test)
      .help("Held out; evaluated on demand.")
      .known_as({"test_file", "test_dataset", "predict_dataset"});
  fields.field("tokenizer", config.tokenizer)
      .help("How text becomes tokens.")
      .known_as({"tokenizer_name", "tokenizer_type", "vocabs", "vocab_file"});
  fields.field("shuffle", config.shuffle)
      .help("Whether each epoch has an order of its own, drawn from the seed.")
      .known_as({"shuffle_data", "no_shuffle"});
  fields.field("prefetch", config.prefetch)
      .help("How far ahead of training batches are made.")
      .unit("steps")
      .at_least(1)
      .at_most(1000)
      .known_as({"prefetch_factor", "num_workers", "dataloader_num_workers", "data_threads"});
  fields.place(config.place);
}

void describe(Fields& fields, OptimizerConfig& config) {
  describe_kind(fields, config, "optimizer", false);
  fields.field("learning_rate", config.learning_rate)
      .help("Peak learning rate; the schedule multiplies it.")
      .required()
      .above(0)
      .known_as({"lr", "base_lr", "max_lr", "peak_lr", "learn_rate"});
  fields.field("groups", config.groups)
      .help("Other values for some parameters, by name; where several match, the last one holds.")
      .known_as({"param_groups", "parameter_groups", "optimizer_grouped_parameters"});
}

void describe(Fields& fields, LearningRateScheduleConfig& config) {
  describe_kind(fields, config, "schedule", false);
}

void describe(Fields& fields, Experiment& config) {
  fields.field("name", config.name)
      .help("Name of the run; its folder is runs/NAME.")
      .required()
      .known_as({"run_name", "experiment_name", "exp_name", "wandb_run_name"});
  fields.field("model", config.model).help("What is trained.").required().known_as({"network"});
  fields.field("data", config.data)
      .help("What it is trained on.")
      .required()
      .known_as({"datasets", "data_module", "datamodule", "data_args"});
  fields.field("train", config.train)
      .help("How long, in which steps, and how.")
      .required()
      .known_as({"trainer", "training", "training_args", "training_arguments"});
  fields.field("optimizer", config.optimizer)
      .help("How gradients change parameters.")
      .required()
      .known_as({"optim", "optimizers", "opt"});
  fields.field("learning_rate_schedule", config.learning_rate_schedule)
      .help("The learning rate over the steps.")
      .known_as(
          {"lr_scheduler", "lr_schedule", "scheduler", "lr_scheduler_type", "lr_decay_style"});
  fields.field("parallel", config.parallel)
      .help("How ranks share the work. Changes nothing in the result but the order of sums.")
      .known_as({"strategy", "distributed", "parallelism", "parallel_dims"});
  fields.field("eval", config.eval)
      .help("When data.validation is evaluated.")
      .known_as({"evaluation"});
  fields.field("checkpoint", config.checkpoint)
      .help("When the run is saved, and which checkpoints stay.")
      .known_as({"checkpointing", "model_checkpoint"});
  fields.field("log", config.log).help("What is reported.").known_as({"logging"});
  fields.field("launch", config.launch)
      .help(
          "How `triga launch` and `triga submit` start the ranks. Changes nothing in the run. What "
          "belongs to a site (partition, modules, NCCL variables) may stand in a site file "
          "(docs/clusters.md), which is laid over this.")
      .known_as({"cluster", "launcher"});
  describe_foreign(fields);
  fields.rule("name", [&config]() -> std::optional<std::string> {
    if (is_folder_name(config.name)) return std::nullopt;
    return "'" + config.name +
           "' cannot be the name of a folder; allowed: letters, digits, '-', "
           "'_' and '.', not first, up to 100";
  });
  fields.rule("eval.patience", [&config]() -> std::optional<std::string> {
    if (config.eval.patience == 0 || (config.eval.every_steps > 0 && config.data.validation))
      return std::nullopt;
    return "early stopping needs data.validation and eval.every_steps above 0";
  });
  fields.rule("train.spikes.max_rollbacks", [&config]() -> std::optional<std::string> {
    const bool saves = config.checkpoint.every_steps > 0 || config.checkpoint.every_minutes;
    if (saves || !config.train.spikes || config.train.spikes->max_rollbacks == 0)
      return std::nullopt;
    return "there are no checkpoints to go back to: checkpoint.every_steps is 0 and "
           "checkpoint.every_minutes is not set; allowed: 0";
  });
  fields.rule("checkpoint.keep_best", [&config]() -> std::optional<std::string> {
    if (!config.checkpoint.keep_best || config.data.validation) return std::nullopt;
    return "needs data.validation, by which checkpoints are compared";
  });
}

}  // namespace triga
