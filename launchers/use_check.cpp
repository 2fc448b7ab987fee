#include "launchers/use_check.h"

#include <fmt/format.h>

#include <cmath>

#include "config/find_kind.h"
#include "config/kind_sections.h"
#include "conformance/kind_checks.h"
#include "conformance/metric_check.h"
#include "conformance/part_checks.h"
#include "conformance/use.h"

namespace triga {

using conformance::Subject;

UseCheck::UseCheck(std::unique_ptr<LoadedExperiment> loaded, const Context& context)
    : loaded_(std::move(loaded)), context_(context) {}

bool UseCheck::is_own(const std::string& plugin) const {
  return !plugin.empty() && registered_name(plugin) == context_.plugin;
}

Assembly& UseCheck::assemble(const std::set<std::string>& splits,
                             const TextFiles& checkpoint_files) {
  return assemblies_.emplace_back(
      loaded_->assemble(context_.environment, splits, checkpoint_files));
}

const Tokenizer* UseCheck::tokenizer() {
  if (assemblies_.empty()) assemble({});
  return assemblies_.front().tokenizer.get();
}

/// An experiment with other options. Nothing is learned or cached anew that does not depend on them.
Assembly UseCheck::remake(const Experiment& changed, const std::string& split,
                          bool has_same_tokenizer) {
  AssemblyOptions options;
  options.train = split == "train";
  options.validation = split == "validation";
  options.test = split == "test";
  options.cache_dir = context_.scratch.make();
  if (has_same_tokenizer && tokenizer() != nullptr) options.checkpoint_files = tokenizer()->files();
  return triga::assemble(changed, loaded_->kinds().registry(), options);
}

/// Once a kind. `use`: makes it with such options, and uses it.
void UseCheck::check_refusals(const std::string& sort, const std::string& name,
                              const ConfigNode& config, const TryOptions& use) {
  if (!refused_->insert({sort, name}).second) return;
  for (const KindSection& section : kind_sections(context_.registry))
    for (const KindView& kind : section.kinds)
      if (section.sort == sort && kind.name == name) {
        context_.report.check(
            sort + " " + name, "wrong options are refused in words", context_.plugin, [&] {
              return conformance::check_refusals(
                  kind, config, [&](const ConfigNode& options, const std::string& tried) {
                    context_.report.is_trying(tried);
                    use(options);
                  });
            });
        return;
      }
}

void UseCheck::run(Kinds& refused) {
  refused_ = &refused;
  const Experiment& experiment = this->experiment();
  const Subject subject = this->subject();
  if (is_own(experiment.model.plugin)) check_architecture(subject);
  check_split("train", &Assembly::train,
              [](Experiment& of) -> KindConfig* { return &of.data.train; });
  check_split("validation", &Assembly::validation,
              [](Experiment& of) { return of.data.validation ? &*of.data.validation : nullptr; });
  check_split("test", &Assembly::test,
              [](Experiment& of) { return of.data.test ? &*of.data.test : nullptr; });
  if (experiment.data.tokenizer && is_own(experiment.data.tokenizer->plugin)) check_tokenizer();
  const Assembly& made = assemble({});
  if (is_own(experiment.optimizer.plugin)) check_optimizer(made);
  if (is_own(experiment.learning_rate_schedule.plugin)) check_schedule(made);
  for (size_t i = 0; i < experiment.eval.metrics.size(); ++i)
    if (is_own(experiment.eval.metrics[i].plugin)) check_metric(made, subject, i);
}

void UseCheck::check_architecture(const Subject& subject) {
  const ModelConfig& model = experiment().model;
  const std::string of = "architecture " + model.kind;
  check_refusals("architecture", model.kind, model.config, [&](const ConfigNode& config) {
    Experiment changed = experiment();
    changed.model.config = config;
    conformance::use_architecture(*remake(changed).architecture, subject);
  });
  for (const conformance::Check& check : conformance::architecture_checks())
    context_.report.check(
        of, check.claim, context_.plugin, [&] { return check.find_problems(subject); },
        [&] { return check.find_nothing ? check.find_nothing(subject) : ""; });
}

/// `find`: its section in an experiment; null: it has none.
void UseCheck::check_split(const std::string& split, std::unique_ptr<Dataset> Assembly::*dataset,
                           const std::function<KindConfig*(Experiment& of)>& find) {
  Experiment copy = experiment();
  const KindConfig* config = find(copy);
  if (config == nullptr || !is_own(config->plugin)) return;
  check_refusals("dataset", config->kind, config->options, [&](const ConfigNode& options) {
    Experiment changed = experiment();
    find(changed)->options = options;
    conformance::use_dataset(*(remake(changed, split).*dataset));
  });
  context_.report.check(
      "dataset " + config->kind, fmt::format("data.{} is the same every time", split),
      context_.plugin, [&] {
        return conformance::check_dataset([&] { return std::move(assemble({split}).*dataset); });
      });
}

void UseCheck::check_tokenizer() {
  const KindConfig& config = *experiment().data.tokenizer;
  check_refusals("tokenizer", config.kind, config.options, [&](const ConfigNode& options) {
    Experiment changed = experiment();
    changed.data.tokenizer->options = options;
    conformance::use_tokenizer(*remake(changed, "", /*has_same_tokenizer=*/false).tokenizer);
  });
  context_.report.check("tokenizer " + config.kind, "a checkpoint's files make it again",
                        context_.plugin, [&] {
                          return conformance::check_tokenizer(*tokenizer(), [&](const auto& files) {
                            return std::move(assemble({}, files).tokenizer);
                          });
                        });
}

void UseCheck::check_optimizer(const Assembly& made) {
  const OptimizerConfig& config = experiment().optimizer;
  const std::string of = "optimizer " + config.kind;
  check_refusals("optimizer", config.kind, config.options, [&](const ConfigNode& options) {
    Experiment changed = experiment();
    changed.optimizer.options = options;
    conformance::use_optimizer(*remake(changed).make_optimizer());
  });
  context_.report.check(of, "a range may be cut anywhere, and a run may go on anywhere",
                        context_.plugin,
                        [&] { return conformance::check_optimizer(made.make_optimizer); });
  context_.report.check(of, "each group has values of its own", context_.plugin,
                        [&] { return conformance::check_optimizer_groups(made.make_optimizer); });
}

void UseCheck::check_schedule(const Assembly& made) {
  constexpr int64_t kDecaySteps = 100;
  const LearningRateScheduleConfig& config = experiment().learning_rate_schedule;
  check_refusals("learning-rate schedule", config.kind, config.options,
                 [&](const ConfigNode& options) {
                   Experiment changed = experiment();
                   changed.learning_rate_schedule.options = options;
                   conformance::use_schedule(*remake(changed).make_schedule(kDecaySteps));
                 });
  context_.report.check(
      "learning-rate schedule " + config.kind, "its factors are numbers", context_.plugin,
      [&] { return conformance::check_schedule([&] { return made.make_schedule(kDecaySteps); }); });
}

/// The i-th of the experiment.
void UseCheck::check_metric(const Assembly& made, const Subject& subject, size_t i) {
  const KindConfig& config = experiment().eval.metrics[i];
  const auto result = [&](const Assembly& of) {
    return conformance::use_metric(*of.make_metrics().at(i), subject);
  };
  check_refusals("metric", config.kind, config.options, [&](const ConfigNode& options) {
    Experiment changed = experiment();
    changed.eval.metrics[i].options = options;
    const double number = result(remake(changed));
    if (!std::isfinite(number) && std::isfinite(result(made)))
      throw Error(fmt::format("its result is {}", number));
  });
  context_.report.check("metric " + config.kind, "it merges to what one rank would count",
                        context_.plugin, [&] {
                          return conformance::check_merging(
                              subject, [&] { return std::move(made.make_metrics().at(i)); });
                        });
}

/// The experiment's model on its training data.
Subject UseCheck::subject() {
  const Assembly& made = assemble({"train"});
  const ModelConfig& model = experiment().model;
  const auto& kind = find_kind(loaded_->kinds().registry().architectures, "architecture",
                               registered_name(model.plugin), ConfigNode::make_scalar(model.kind));
  Subject subject;
  subject.plugin = registered_name(model.plugin);
  subject.make = [&kind, config = model.config, tokenizer = made.tokenizer.get()] {
    return kind.create(config, {tokenizer});
  };
  subject.sample = [dataset = made.train.get()](int64_t index) {
    return dataset->get(index % dataset->size());
  };
  subject.tokenizer = made.tokenizer.get();
  subject.files = model_files(made);
  subject.sampler_inputs = sampler_inputs(*made.architecture);
  subject.scratch_dir = context_.scratch.make().string();
  return subject;
}

/// Those that this sampler has; nothing when one that it needs is not given.
std::optional<ConfigNode> UseCheck::sampler_inputs(const Architecture& model) {
  const auto sampler = model.sampler();
  if (!sampler) return std::nullopt;
  const ConfigNode schema = sampler->schema();
  ConfigNode inputs = ConfigNode::make_mapping();
  for (const auto& [key, value] : context_.inputs.entries)
    if (schema.find("properties")->find(key) != nullptr) {
      inputs.add(key, value);
      used_inputs_.insert(key);
    }
  if (const ConfigNode* required = schema.find("required"))
    for (const ConfigNode& key : required->items)
      if (inputs.find(key.scalar) == nullptr) return std::nullopt;
  return inputs;
}

}  // namespace triga
