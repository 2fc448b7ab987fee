// What the keys of an experiment mean: training, layout, evaluation, checkpoints. What is not there
// yet is refused in words.
#include <c10/util/StringUtil.h>

#include <regex>

#include "config/experiment_sections.h"

namespace triga {
namespace {

/// The number of values that are set.
template <class... Optionals>
int num_set(const Optionals&... values) {
  return (0 + ... + (values.has_value() ? 1 : 0));
}

}  // namespace

std::optional<std::string> not_a_pattern(const std::string& pattern) {
  try {
    (void)std::regex(pattern);
    return std::nullopt;
  } catch (const std::regex_error&) {
    return c10::str("'", pattern,
                    "' is not a regular expression (ECMAScript), such as 'h\\.0\\..*'");
  }
}

void describe(Fields& fields, GlobalBatchConfig& config) {
  fields.field("samples", config.samples)
      .help("Samples of one step, over all ranks.")
      .at_least(1)
      .known_as({"global_batch_size", "train_batch_size", "total_batch_size",
                 "effective_batch_size", "mini_batch"});
  fields.field("tokens", config.tokens)
      .help("Tokens (frames) of one step, over all ranks: as many samples as fit.")
      .at_least(1)
      .known_as({"max_tokens", "mini_batch_words", "batch_tokens", "global_batch_tokens"});
  fields.rule("", [&config]() -> std::optional<std::string> {
    if (num_set(config.samples, config.tokens) == 1) return std::nullopt;
    return "expected exactly one of samples and tokens, such as {samples: 32}";
  });
}

void describe(Fields& fields, SpikesConfig& config) {
  fields.field("window", config.window)
      .help(
          "A loss is compared with those of so many steps before it that were no spikes; there is "
          "no verdict before there are so many, and none on a step of less than half of "
          "global_batch, as the last one of an epoch may be.")
      .unit("steps")
      .at_least(8)
      .at_most(10000)
      .known_as({"window_size", "history", "rolling_window"});
  fields.field("z_score", config.z_score)
      .help(
          "So many standard deviations above the mean of the window is a spike, if it is also 1 % "
          "above that mean.")
      .above(0)
      .known_as({"zscore", "threshold", "num_std", "sigma"});
  fields.field("max_in_a_row", config.max_in_a_row)
      .help(
          "So many spikes in a row, and the run goes back to the newest good checkpoint from "
          "before them; their data are left out then.")
      .unit("steps")
      .at_least(1)
      .known_as({"patience", "max_consecutive", "consecutive"});
  fields.field("max_rollbacks", config.max_rollbacks)
      .help(
          "So often the run goes back without progress; where it would have to once more, it ends "
          "with status 7. Progress is a checkpoint after a full window of good steps since it went "
          "back last. 0: never back.")
      .at_least(0)
      .known_as({"max_restarts", "num_rollbacks"});
  fields.place(config.place);
}

void describe(Fields& fields, TrainConfig& config) {
  fields.place(config.place);
  fields.field("max_steps", config.max_steps)
      .help("Stop after so many updates of the parameters.")
      .unit("steps")
      .at_least(1)
      .known_as({"max_iters", "train_iters", "num_train_steps", "train_steps", "training_steps",
                 "num_steps", "max_updates", "after_batches", "max_train_steps"});
  fields.field("max_epochs", config.max_epochs)
      .help("Stop after so many passes over data.train.")
      .unit("epochs")
      .at_least(1)
      .known_as({"num_train_epochs", "num_epochs", "epochs", "n_epochs", "after_epochs"});
  fields.field("max_minutes", config.max_minutes)
      .help("Stop after so much time of training.")
      .unit("minutes")
      .above(0)
      .known_as({"max_time", "time_limit", "exit_duration_in_mins"});
  fields.field("global_batch", config.global_batch)
      .help("How much one step reads, over all ranks.")
      .required();
  fields.field("microbatch_size", config.microbatch_size)
      .help(
          "Samples that a rank computes at once. Part of the experiment, so that a run does not "
          "depend on the "
          "number of ranks; a step is as many of them as global_batch needs.")
      .unit("samples")
      .required()
      .at_least(1)
      .known_as({"micro_batch_size", "per_device_train_batch_size", "per_gpu_train_batch_size",
                 "train_micro_batch_size_per_gpu", "device_batch_size", "batch_size_per_gpu"});
  fields.field("seed", config.seed)
      .help("Of the first weights, the order of samples, dropout and noise.")
      .at_least(0)
      .known_as({"manual_seed", "random_seed", "rng_seed", "seed_everything", "data_seed"});
  fields.field("clip_norm", config.clip_norm)
      .help("Largest norm of the whole gradient; a longer one is scaled down. 0: no clipping.")
      .at_least(0)
      .known_as({"max_grad_norm", "grad_clip", "gradient_clip_val", "gradient_clipping",
                 "clip_grad", "clip_grad_norm", "clip_gradients", "max_norm"});
  fields.field("ema_decay", config.ema_decay)
      .help(
          "Keep an exponential moving average of the weights: the share of it that a step keeps, "
          "rising to this from 0. Evaluations and checkpoints show the average; the weights that "
          "training goes on from lie in training/.")
      .above(0)
      .below(1)
      .empty_word("none")
      .known_as({"ema", "use_ema", "ema_rate", "ema_inv_gamma", "exponential-smoothing",
                 "model_ema_decay", "swa"});
  fields.field("precision", config.precision)
      .help(
          "Type of activations and parameters in computation. With bf16 the optimizer works on "
          "fp32 "
          "copies, and gradients are added up in fp32.")
      .one_of({"fp32", "bf16"})
      .known_as({"dtype", "torch_dtype", "mixed_precision", "amp", "fp16", "bf16", "autocast"});
  fields.field("device", config.device)
      .help(
          "Where ranks compute: each on a GPU of its own (cuda, needs a build with CUDA), or on "
          "the cores of its host. auto: on GPUs where there are any.")
      .one_of({"auto", "cpu", "cuda"})
      .known_as({"accelerator", "device_type", "use_cpu", "no_cuda"});
  fields.field("deterministic", config.deterministic)
      .help(
          "The same run gives the same bits; a resumed one those of the uninterrupted one. false: "
          "on "
          "a GPU the fastest kernels, and no such promise.")
      .known_as({"full_determinism", "use_deterministic_algorithms", "cudnn_deterministic"});
  fields.field("max_skipped_steps", config.max_skipped_steps)
      .help(
          "A step whose loss or gradient is not finite is skipped; after so many in a row the run "
          "ends with status 7.")
      .unit("steps")
      .at_least(1);
  fields.field("spikes", config.spikes)
      .help(
          "Passes over steps whose loss is far above those before it: the update of such a step "
          "is skipped, and after several in a row the run goes back to a checkpoint from before "
          "them and leaves their data out. Not set: no loss that is finite is too large.")
      .known_as({"loss_spikes", "spike_detection", "skip_spikes", "loss_spike_threshold",
                 "spiky_loss_factor", "check_for_spiky_loss"});
  fields.rule("", [&config]() -> std::optional<std::string> {
    if (num_set(config.max_steps, config.max_epochs, config.max_minutes) == 1) return std::nullopt;
    return "expected exactly one of max_steps, max_epochs and max_minutes";
  });
  fields.rule("spikes.max_in_a_row", [&config]() -> std::optional<std::string> {
    if (!config.spikes || config.spikes->max_in_a_row <= config.max_skipped_steps)
      return std::nullopt;
    return c10::str("the run would end before, by train.max_skipped_steps; allowed: up to ",
                    config.max_skipped_steps);
  });
  fields.rule("deterministic", [&config]() -> std::optional<std::string> {
    if (config.deterministic || config.device != "cpu") return std::nullopt;
    return "false has nothing to offer on the CPU: every kernel there is deterministic; allowed: "
           "true";
  });
}

void describe(Fields& fields, GroupConfig& config) {
  fields.field("match", config.match)
      .help("Regular expression (ECMAScript), searched in the name of each parameter.")
      .required()
      .known_as({"params", "pattern", "regex"});
  fields.field("learning_rate_scale", config.learning_rate_scale)
      .help("Multiplies the learning rate.")
      .at_least(0)
      .known_as({"lr_mult", "lr_scale", "learning_rate_multiplier"});
  fields.field("weight_decay", config.weight_decay)
      .help(
          "In place of the optimizer's. Biases and norms have none unless a group gives them one.")
      .at_least(0);
  fields.field("frozen", config.frozen)
      .help("Not trained: no gradient, no optimizer state.")
      .known_as({"freeze", "requires_grad", "trainable"});
  fields.place(config.place);
  fields.rule("match", [&config] { return not_a_pattern(config.match); });
}

void describe(Fields& fields, ParallelConfig& config) {
  fields.field("dp", config.dp)
      .help("Data-parallel ranks: each has the whole model and a share of every step.")
      .empty_word("auto")
      .at_least(1)
      .known_as({"data_parallel_size", "data_parallel_degree", "dp_size", "ddp"});
  fields.field("pp", config.pp)
      .help("Ranks that share a model: each has a part of its layers.")
      .at_least(1)
      .known_as(
          {"pipeline_parallel_size", "pipeline_model_parallel_size", "num_stages", "pp_size"});
  fields.field("pipeline_schedule", config.pipeline_schedule)
      .help(
          "Order of forward and backward in the pipeline (docs/pipeline.md). Changes nothing in "
          "the "
          "result but the order of sums.")
      .one_of({"gpipe", "1f1b", "interleaved_1f1b", "zb_h1", "zb_v"})
      .known_as({"pipeline_parallel_schedule", "pp_schedule"});
  fields.field("pipeline_schedule_file", config.pipeline_schedule_file)
      .help(
          "A schedule of your own in place of pipeline_schedule: CSV, a line a rank, actions such "
          "as "
          "0F3, stage 0 forward of microbatch 3 (docs/pipeline.md).")
      .known_as({"pipeline_schedule_csv", "pipeline_parallel_schedule_csv", "pp_schedule_csv"});
  fields.field("pipeline_chunks", config.pipeline_chunks)
      .help("Stages a rank, with a schedule that takes several; auto: as few as it takes.")
      .empty_word("auto")
      .at_least(1)
      .known_as({"virtual_pipeline_model_parallel_size", "num_virtual_stages", "interleave"});
  fields.field("partition", config.partition)
      .help(
          "Where the model is cut into stages. uniform: as many layers in each as can be; auto: "
          "for the least time, by what the layers take here, measured at the first start (a run "
          "keeps the cut that it has, measured or listed); or the index of the first layer of each "
          "stage but the first.")
      .one_of({"uniform", "auto"})
      .known_as({"pipeline_cuts", "split_points", "pipeline_parallel_split_points"});
  fields.field("zero", config.zero)
      .help(
          "What data-parallel ranks keep in parts (ZeRO): 0 nothing, 1 the state of the optimizer, "
          "2 "
          "gradients as well. Changes nothing in the result but the order of sums.")
      .at_least(0)
      .at_most(2)
      .known_as({"zero_stage", "zero_optimization", "sharding_strategy", "fsdp", "sharded_ddp",
                 "use_distributed_optimizer"});
  fields.field("recompute", config.recompute)
      .help(
          "Which activations backward computes again instead of keeping them: none, selective "
          "(large "
          "ones that are cheap, which the layers name), full (all but the inputs of layers). "
          "Changes "
          "nothing in the result.")
      .one_of({"none", "selective", "full"})
      .known_as({"gradient_checkpointing", "activation_checkpointing", "checkpoint_activations",
                 "recompute_activations"});
  fields.field("bucket_bytes", config.bucket_bytes)
      .help(
          "Gradients are reduced in pieces of about this size, while backward still runs; auto: "
          "measured at the first start on several ranks, and kept.")
      .unit("bytes")
      .empty_word("auto")
      .at_least(1024)
      .known_as(
          {"bucket_cap_mb", "ddp_bucket_cap_mb", "reduce_bucket_size", "allreduce_bucket_size"});
  fields.field("threads", config.threads)
      .help(
          "With how many threads a rank computes on CPUs; auto: its share of the host's cores, or, "
          "when the run goes on with as many ranks, as many as before: another number gives other "
          "last bits.")
      .unit("threads")
      .empty_word("auto")
      .at_least(1)
      .at_most(4096)
      .known_as({"num_threads", "omp_num_threads", "intra_op_threads", "cpu_threads"});
  fields.field("communication_timeout", config.communication_timeout)
      .help(
          "How long ranks wait for one another, and how long a rank may stand still (no layer of a "
          "microbatch, no operation), before the run ends with status 6.")
      .unit("seconds")
      .above(0)
      .known_as({"hang_timeout", "ddp_timeout", "nccl_timeout", "dist_timeout",
                 "distributed_timeout_minutes"});
  fields.place(config.place);
  fields.rule("pipeline_schedule_file", [&config]() -> std::optional<std::string> {
    const bool is_alone = config.pipeline_schedule == "1f1b" && !config.pipeline_chunks;
    if (!config.pipeline_schedule_file || is_alone) return std::nullopt;
    return "says all of the schedule: leave pipeline_schedule and pipeline_chunks out";
  });
  fields.rule("partition", [&config]() -> std::optional<std::string> {
    const std::vector<int64_t>& cuts = config.partition.list;
    for (size_t i = 0; i < cuts.size(); ++i)
      if (cuts[i] <= (i == 0 ? 0 : cuts[i - 1])) return "layers must rise, from 1 on";
    return std::nullopt;
  });
}

void describe(Fields& fields, EvalConfig& config) {
  fields.field("every_steps", config.every_steps)
      .help(
          "Evaluate data.validation after so many steps, and after the last. 0: after the last "
          "only.")
      .unit("steps")
      .at_least(0)
      .known_as({"eval_steps", "eval_interval", "eval_iters", "val_check_interval", "valid_freq",
                 "validation_interval", "evaluation_strategy", "eval_strategy"});
  fields.field("patience", config.patience)
      .help(
          "Stop after so many evaluations in a row that were not better than the best. 0: never. "
          "A larger limit does not open such a run again")
      .unit("evaluations")
      .at_least(0)
      .known_as({"early_stopping_patience", "early_stopping"});
  fields.field("metrics", config.metrics)
      .help(
          "What an evaluation computes beside the loss and the metrics that the architecture "
          "brings; "
          "each is logged as validation/NAME.")
      .known_as({"compute_metrics", "eval_metrics", "metric_list"});
}

void describe(Fields& fields, KeepBestConfig& config) {
  using Mode = KeepBestConfig::Mode;
  fields.field("metric", config.metric)
      .help("By which checkpoints are compared: validation/loss or validation/METRIC.")
      .known_as({"metric_for_best_model", "monitor", "valid_metrics"});
  fields.choice("mode", config.mode, {{"min", Mode::kMin}, {"max", Mode::kMax}})
      .help("Whether the smallest or the largest is the best.")
      .known_as({"greater_is_better"});
  fields.field("count", config.count)
      .help("How many of the best stay.")
      .at_least(1)
      .known_as({"save_top_k", "keep_best_k"});
  fields.place(config.place);
  fields.rule("metric", [&config]() -> std::optional<std::string> {
    constexpr std::string_view kSplit = "validation/";
    if (config.metric.starts_with(kSplit) && config.metric.size() > kSplit.size())
      return std::nullopt;
    return c10::str("'", config.metric,
                    "' is no metric of data.validation; expected validation/loss "
                    "or validation/METRIC");
  });
}

void describe(Fields& fields, CheckpointConfig& config) {
  fields.field("every_steps", config.every_steps)
      .help("Save after so many steps, and after the last. 0: not by steps.")
      .unit("steps")
      .at_least(0)
      .known_as({"save_steps", "save_interval", "save_freq", "save_strategy", "every_n_train_steps",
                 "checkpoint_interval", "save_every"});
  fields.field("every_minutes", config.every_minutes)
      .help(
          "Save also when so much time has passed since the last time; the clock of rank 0 counts.")
      .unit("minutes")
      .above(0)
      .empty_word("none")
      .known_as({"train_time_interval", "save_interval_minutes", "checkpoint_interval_minutes",
                 "every_n_minutes"});
  fields.field("asynchronous", config.asynchronous)
      .help(
          "Copy what is saved, and write it while training goes on; takes memory of the host for "
          "the copy. false: training waits until it is written. Changes nothing in the run.")
      .known_as({"async_save", "async_checkpoint", "async_mode", "use_async", "dist_async_save"});
  fields.field("keep_last", config.keep_last)
      .help("How many of the newest stay.")
      .at_least(1)
      .known_as({"save_total_limit", "keep_last_n", "max_to_keep"});
  fields.field("keep_best", config.keep_best)
      .help(
          "Which stay beside the newest. Default with data.validation: the one of the smallest "
          "loss.")
      .known_as({"load_best_model_at_end", "save_best"});
}

void describe(Fields& fields, SamplesConfig& config) {
  fields.field("every_steps", config.every_steps)
      .help("Generate after so many steps, and after the last. 0: after the last only.")
      .unit("steps")
      .at_least(0)
      .known_as({"sample_interval", "sample_every", "save_images_epochs", "validation_epochs"});
  fields.field("inputs", config.inputs)
      .help("Inputs of the model's sampler, as `triga generate --input` takes them.")
      .known_as({"generation_config", "generation_args", "validation_prompts"});
  fields.place(config.place);
}

void describe(Fields& fields, LogConfig& config) {
  fields.field("every_steps", config.every_steps)
      .help("Report after so many steps.")
      .unit("steps")
      .at_least(1)
      .known_as({"logging_steps", "log_interval", "log_every_n_steps", "disp_freq", "log_freq",
                 "print_freq", "steps_per_print"});
  fields
      .choice("format", config.format,
              {{"text", LogConfig::Format::kText}, {"json", LogConfig::Format::kJson}})
      .help(
          "Lines of log/rank-N.log: text for people, or a JSON object each, with time, level, "
          "area, rank and message, for what collects logs.")
      .known_as({"log_format", "json_logs", "log_json"});
  fields
      .choice("measure_links", config.measure_links,
              {{"auto", LogConfig::MeasureLinks::kAuto},
               {"always", LogConfig::MeasureLinks::kAlways},
               {"never", LogConfig::MeasureLinks::kNever}})
      .help(
          "At the start, measure how fast ranks reduce together, inside hosts and between them: "
          "under a second. auto: on several hosts, and on GPUs.")
      .known_as({"measure_bandwidth", "network_test", "nccl_tests"});
  fields.field("prometheus_port", config.prometheus_port)
      .help(
          "Rank 0 serves the newest metrics at http://HOST:PORT/metrics, in the text format of "
          "Prometheus. 0: a port that is free, which the log says.")
      .at_least(0)
      .at_most(65535)
      .empty_word("none")
      .known_as({"metrics_port", "exporter_port", "prometheus"});
  fields.field("gradient_norms_every_steps", config.gradient_norms_every_steps)
      .help(
          "In the first step and after so many, write how large gradients inside of layers are to "
          "gradients.csv and gradients.svg: recurrent layers say that of the loss by their state "
          "at each time step, so vanishing and exploding gradients show. Changes no result; such "
          "a step takes longer. 0: never.")
      .unit("steps")
      .at_least(0)
      .known_as({"log_gradients", "watch_gradients", "log_grads", "track_grad_norm"});
  fields.field("samples", config.samples)
      .help(
          "What the model generates as it learns (text, images, forecasts), in the run's folder "
          "samples/ and in TensorBoard. Changes nothing in the run.")
      .known_as({"sample", "generate", "generation", "predict_with_generate"});
}

void describe_foreign(Fields& fields) {
  fields.hint({"gradient_accumulation_steps", "accumulate_grad_batches", "grad_accumulation_steps",
               "optimizer_delay", "update_freq", "iter_size"},
              "there is no such key: accumulation follows from train.global_batch and "
              "train.microbatch_size");
  fields.hint({"batch_size", "batch"},
              "say how much a step reads over all ranks, train.global_batch, and how much a rank "
              "computes at once, train.microbatch_size");
  fields.hint({"output_dir", "out_dir", "save_dir", "default_root_dir", "run_dir", "work_dir"},
              "the folder of a run belongs to the command: --run-dir DIR (default: runs/NAME)");
  fields.hint(
      {"resume_from_checkpoint", "resume", "ckpt_path", "load_checkpoint", "overwrite_output_dir"},
      "resuming belongs to the command: --resume auto|PATH (auto is the default), --fresh");
  fields.hint({"report_to", "wandb", "wandb_project", "logger", "logging_dir", "tensorboard_dir"},
              "metrics always go to metrics.jsonl and tensorboard/ in the run's folder");
  fields.hint(
      {"metrics"},
      "metrics of evaluations belong to eval.metrics; log.prometheus_port serves the newest "
      "of all to Prometheus");
  fields.hint(
      {"tensor_model_parallel_size", "tensor_parallel_size", "tp", "tp_size"},
      "there is no tensor parallelism; ranks share the work by parallel.dp and parallel.pp");
  fields.hint(
      {"world_size", "local_rank", "master_addr", "master_port", "rdzv_endpoint", "backend"},
      "ranks come from `triga launch`, mpirun or srun, not from the experiment");
  fields.hint(
      {"defaults", "hydra", "base", "extends", "_base_", "includes"},
      "files do not inherit from each other: write the experiment in full, and use --set for "
      "what changes");
  fields.hint({"compile", "torch_compile", "jit"},
              "there is no such key: nothing is compiled at run time");
  fields.hint({"find_unused_parameters", "static_graph", "gradient_as_bucket_view"},
              "there is no such key: a parameter without gradient counts as zero on every layout");
}

}  // namespace triga
