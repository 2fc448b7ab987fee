#include "trainer/assembly.h"

#include "base/files.h"
#include "base/plugin_call.h"
#include "config/find_kind.h"
#include "config/kind_sections.h"
#include "config/placed.h"
#include "optim/weight_average.h"
#include "parallel/pipeline/schedule_text.h"

namespace triga {
namespace {

/// The kind's product, made with its options.
template <class Product, class Context>
std::unique_ptr<Product> create(const Catalog<Product, Context>& catalog, const std::string& sort,
                                const KindConfig& config, const Context& context) {
  ConfigNode kind = ConfigNode::make_scalar(config.kind);
  const Kind<Product, Context>& found =
      find_kind(catalog, sort, registered_name(config.plugin), kind);
  return placed(config.options, [&] {
    return in_plugin(config.plugin, [&] { return found.create(config.options, context); });
  });
}

/// Stands in for the tokenizer while that one learns: it hears the texts that a dataset reads.
class TextListener final : public Tokenizer {
 public:
  explicit TextListener(const std::function<void(std::string_view)>& visit) : visit_(visit) {}
  int64_t vocab_size() const override { return 1; }
  std::vector<int32_t> encode(std::string_view text) const override {
    visit_(text);
    return {0, 0};  // as few as a dataset can be made of
  }
  std::string decode(const std::vector<int32_t>&) const override { return ""; }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override { return {}; }

 private:
  const std::function<void(std::string_view)>& visit_;
};

std::unique_ptr<Tokenizer> make_tokenizer(const Experiment& experiment, const Registry& registry,
                                          const AssemblyOptions& options) {
  TokenizerContext context;
  context.cache_dir = options.cache_dir.string();
  context.files = options.checkpoint_files;
  context.report_progress = options.report_progress;
  context.for_each_text = [&](const std::function<void(std::string_view)>& visit) {
    const TextListener listener(visit);
    DatasetContext data;
    data.split = "train";
    data.tokenizer = &listener;
    data.sequence_length = 1;  // the architecture is not made yet
    create(registry.datasets, "dataset", experiment.data.train, data);
  };
  return create(registry.tokenizers, "tokenizer", *experiment.data.tokenizer, context);
}

}  // namespace

Assembly assemble(const Experiment& experiment, const Registry& registry,
                  const AssemblyOptions& options) {
  Assembly made;
  if (experiment.data.tokenizer) made.tokenizer = make_tokenizer(experiment, registry, options);
  const KindConfig model{experiment.model.plugin, experiment.model.kind, experiment.model.config};
  made.architecture = create(registry.architectures, "architecture", model,
                             ArchitectureContext{made.tokenizer.get()});

  const auto open = [&](const KindConfig& config, const std::string& split) {
    DatasetContext context;
    context.split = split;
    context.tokenizer = made.tokenizer.get();
    context.sequence_length = made.architecture->sequence_length();
    context.horizon = made.architecture->horizon();
    context.cache_dir = options.cache_dir.string();
    context.report_progress = options.report_progress;
    return create(registry.datasets, "dataset", config, context);
  };
  if (options.train) made.train = open(experiment.data.train, "train");
  if (options.validation && experiment.data.validation)
    made.validation = open(*experiment.data.validation, "validation");
  if (options.test && experiment.data.test) made.test = open(*experiment.data.test, "test");

  made.make_optimizer = [&registry, config = static_cast<const KindConfig&>(experiment.optimizer)] {
    return create(registry.optimizers, "optimizer", config, OptimizerContext{});
  };
  if (const std::optional<double> decay = experiment.train.ema_decay)
    made.make_optimizer = [plain = made.make_optimizer, decay = *decay] {
      return std::make_unique<WeightAverage>(plain(), decay);
    };
  made.make_schedule = [&registry,
                        config = static_cast<const KindConfig&>(experiment.learning_rate_schedule)](
                           int64_t default_decay_steps) {
    return create(registry.learning_rate_schedules, "learning-rate schedule", config,
                  LearningRateScheduleContext{default_decay_steps});
  };
  made.make_metrics = [&registry, configs = experiment.eval.metrics,
                       tokenizer = made.tokenizer.get()] {
    std::vector<std::unique_ptr<Metric>> metrics;
    for (const KindConfig& config : configs)
      metrics.push_back(create(registry.metrics, "metric", config, MetricContext{tokenizer}));
    return metrics;
  };
  return made;
}

TextFiles further_model_files(const Assembly& assembly) {
  const TextFiles own = assembly.architecture->model_directory().files;
  TextFiles further;
  if (assembly.tokenizer) further = assembly.tokenizer->files();
  for (const auto& [name, content] : assembly.train->model_files()) {
    const bool is_text = name.ends_with(".json") || name.ends_with(".txt");
    if (!is_text || name.find('/') != name.npos)
      throw PluginError("model_files() of the training data has '" + name +
                        "'; allowed: NAME.json and NAME.txt");
    if (own.contains(name) || !further.emplace(name, content).second)
      throw PluginError("model_files() of the training data has '" + name +
                        "', which the model or the tokenizer has as well");
  }
  return further;
}

TextFiles model_files(const Assembly& assembly) {
  TextFiles files = assembly.architecture->model_directory().files;
  files.merge(further_model_files(assembly));
  return files;
}

ScheduleChoice schedule_choice_of(const ParallelConfig& parallel) {
  ScheduleChoice choice;
  choice.name = parallel.pipeline_schedule;
  choice.chunks = static_cast<int>(
      parallel.pipeline_chunks.value_or(find_schedule(parallel.pipeline_schedule).least_chunks));
  if (!parallel.pipeline_schedule_file) return choice;
  const std::string& path = parallel.pipeline_schedule_file->path;
  const ConfigNode place = parallel.place.place_of("pipeline_schedule_file");
  if (!exists(posix_files(), path)) throw config_error(place, "no such file: " + path);
  choice.own =
      placed(place, [&] { return schedule_from_csv(read_text(posix_files(), path), path); });
  return choice;
}

Strategy::Options strategy_options_of(const Experiment& experiment) {
  const ParallelConfig& parallel = experiment.parallel;
  Strategy::Options options;
  options.seed = static_cast<uint64_t>(experiment.train.seed);
  options.zero = static_cast<int>(parallel.zero);
  options.recompute = parallel.recompute == "full"        ? Recompute::kFull
                      : parallel.recompute == "selective" ? Recompute::kSelective
                                                          : Recompute::kNone;
  options.compute_type = experiment.train.precision == "bf16" ? at::kBFloat16 : at::kFloat;
  for (const GroupConfig& group : experiment.optimizer.groups) {
    GroupRule rule;
    rule.match = group.match;
    rule.group = {group.learning_rate_scale.value_or(1), group.weight_decay};
    rule.sets_learning_rate_scale = group.learning_rate_scale.has_value();
    rule.frozen = group.frozen;
    options.groups.push_back(std::move(rule));
  }
  return options;
}

}  // namespace triga
