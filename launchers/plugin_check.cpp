#include "launchers/plugin_check.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <map>
#include <set>

#include "base/files.h"
#include "config/find_kind.h"
#include "config/vocabulary.h"
#include "conformance/kind_checks.h"
#include "conformance/metric_check.h"
#include "conformance/part_checks.h"
#include "conformance/subject.h"
#include "conformance/use.h"
#include "launchers/check_report.h"
#include "launchers/inputs_file.h"
#include "launchers/loaded_experiment.h"
#include "launchers/scratch_folder.h"
#include "plugin_host/library.h"
#include "plugin_host/trial.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using conformance::Problems;
using conformance::Subject;

/// An experiment that uses kinds of the plugin, with what is made for it.
struct Use {
  std::unique_ptr<LoadedExperiment> loaded;
  std::deque<Assembly> assemblies;  // whose tokenizers and datasets checks still need
  const Experiment& experiment() const { return loaded->experiment(); }
  Assembly& assemble(const CommandEnvironment& environment, const std::set<std::string>& splits,
                     const std::map<std::string, std::string>& checkpoint_files = {}) {
    return assemblies.emplace_back(loaded->assemble(environment, splits, checkpoint_files));
  }
  const Tokenizer* tokenizer(const CommandEnvironment& environment) {
    if (first == nullptr) first = &assemble(environment, {});
    return first->tokenizer.get();
  }
  const Assembly* first = nullptr;
};

class PluginCheck {
 public:
  PluginCheck(const CommandEnvironment& environment, const PluginCheckArguments& arguments,
              std::ostream& out)
      : environment_(environment),
        arguments_(arguments),
        inputs_(inputs_of(arguments.inputs)),
        report_(out, arguments.file),
        scratch_(environment.cache_dir, "plugin-check") {}

  ExitStatus run() {
    if (open()) {
      for (const std::string& file : arguments_.experiments) load(file);
      check_kinds();
      for (Use& use : uses_) check_use(use);
      refuse_unused_inputs();
    }
    return report_.summary();
  }

 private:
  bool open();
  void load(const std::string& file);
  void remember_kinds(const Experiment& experiment);
  void check_kinds();
  void check_kind(const KindView& kind, const std::string& of, const std::string& sort);
  void check_defaults(const KindView& kind, const std::string& of);
  void check_refusals(const std::string& sort, const std::string& name, const ConfigNode& config,
                      const std::function<void(const ConfigNode& config)>& use);
  Assembly remake(const Use& use, const Experiment& changed, const std::string& split = "");
  void check_use(Use& use);
  void check_architecture(Use& use, const Subject& subject);
  void check_split(Use& use, const std::string& split, std::unique_ptr<Dataset> Assembly::*dataset,
                   const std::function<KindConfig*(Experiment& of)>& find);
  void check_tokenizer(Use& use, const Tokenizer& tokenizer);
  void check_optimizer(Use& use, const Assembly& made);
  void check_schedule(Use& use, const Assembly& made);
  void check_metric(Use& use, const Assembly& made, const Subject& subject, size_t i);
  Subject subject_of(Use& use);
  std::optional<ConfigNode> inputs_for(const Architecture& model);
  void refuse_unused_inputs() const;
  void make_architecture(const std::string& kind, const ConfigNode& config,
                         const Tokenizer* tokenizer) const;
  bool is_own(const std::string& plugin) const {
    return !plugin.empty() && registered_name(plugin) == name_;
  }

  /// A kind as an experiment uses it.
  struct Example {
    ConfigNode config;
    size_t use = 0;
  };

  CommandEnvironment environment_;
  const PluginCheckArguments& arguments_;
  ConfigNode inputs_;
  std::set<std::string> used_inputs_;
  CheckReport report_;
  ScratchFolder scratch_;
  std::string name_;
  fs::path path_;
  Registry registry_;  // of the plugin alone
  std::deque<Use> uses_;
  std::map<std::pair<std::string, std::string>, Example> examples_;  // by sort and kind
  std::set<std::pair<std::string, std::string>> refused_;  // likewise, those that were tried
};

/// Nothing of the plugin runs here before it ran in a child.
bool PluginCheck::open() {
  PluginFile file;
  const bool is_open = report_.check("plugin", "its stamp is that of this Triga", "", [&] {
    file = PluginFile::inspect(arguments_.file);
    return Problems();
  }) && report_.check("plugin", "it opens in a child process", "", [&] {
    PluginTrial trial;  // remembers nothing: who checks a file wants it tried
    trial.command = {environment_.executable.string(), "__open-plugin"};
    try_in_child(file, trial);
    return Problems();
  }) && report_.check("plugin", "it registers its kinds", "", [&] {
    const PluginDescriptor& descriptor = load_plugin(file);
    registry_ = registered_kinds(descriptor, file);
    name_ = descriptor.name;
    return Problems();
  });
  if (!is_open) return false;
  path_ = file.path;
  report_.check("plugin", "it is named as its file", "", [&]() -> Problems {
    if (path_.stem() == name_) return {};
    return {fmt::format("it is the plugin '{}': rename the file to {}.so", name_, name_)};
  });
  environment_.plugin = {name_, path_};  // what experiments mean by this name
  return true;
}

void PluginCheck::load(const std::string& file) {
  Use use;
  ExperimentArguments arguments;
  arguments.file = file;
  use.loaded =
      std::make_unique<LoadedExperiment>(environment_, arguments, LoadedExperiment::Purpose::kLook);
  for (const OpenPlugin& plugin : use.loaded->kinds().host().opened())
    if (plugin.name == name_ && !fs::equivalent(plugin.path, path_))
      throw ConfigError(
          fmt::format("{}: opens {}, not {}", file, plugin.path.string(), path_.string()));
  uses_.push_back(std::move(use));
  remember_kinds(uses_.back().experiment());
}

void PluginCheck::remember_kinds(const Experiment& experiment) {
  const auto remember = [&](const std::string& sort, const std::string& plugin,
                            const std::string& kind, const ConfigNode& config) {
    if (is_own(plugin)) examples_.try_emplace({sort, kind}, Example{config, uses_.size() - 1});
  };
  const auto remember_kind = [&](const std::string& sort, const KindConfig& config) {
    remember(sort, config.plugin, config.kind, config.options);
  };
  remember("architecture", experiment.model.plugin, experiment.model.kind, experiment.model.config);
  remember_kind("dataset", experiment.data.train);
  if (experiment.data.validation) remember_kind("dataset", *experiment.data.validation);
  if (experiment.data.test) remember_kind("dataset", *experiment.data.test);
  if (experiment.data.tokenizer) remember_kind("tokenizer", *experiment.data.tokenizer);
  remember_kind("optimizer", experiment.optimizer);
  remember_kind("learning-rate schedule", experiment.learning_rate_schedule);
  for (const KindConfig& metric : experiment.eval.metrics) remember_kind("metric", metric);
}

void PluginCheck::check_kinds() {
  std::set<std::string> done;  // several sections name datasets
  size_t num_kinds = 0;
  for (const KindSection& section : kind_sections(registry_)) {
    if (!done.insert(section.sort).second) continue;
    for (const KindView& kind : section.kinds) {
      ++num_kinds;
      check_kind(kind, section.sort + " " + kind.name, section.sort);
    }
  }
  report_.check("plugin", "it brings something", "", [&]() -> Problems {
    if (num_kinds > 0) return {};
    return {"it registers no kind of any sort"};
  });
}

void PluginCheck::check_kind(const KindView& kind, const std::string& of, const std::string& sort) {
  const auto example = examples_.find({sort, kind.name});
  const auto missing = conformance::required_options(kind);
  const bool is_used = report_.check(of, "an experiment uses it", name_, [&]() -> Problems {
    if (example != examples_.end()) return {};
    return {"what it does cannot be checked without: add --experiment FILE.yaml" +
            (missing.empty() ? "" : ", one that sets what has no default: " + join(missing))};
  });
  ConfigNode config = is_used ? example->second.config : ConfigNode::make_mapping();
  if (!is_used && !missing.empty()) return;  // said
  report_.check(of, "every option is described, and resolving is stable", name_,
                [&] { return conformance::check_description(kind, config); });
  if (sort == "architecture") check_defaults(kind, of);
}

/// Of a kind with options that have no default: with those of the experiment.
void PluginCheck::check_defaults(const KindView& kind, const std::string& of) {
  const auto example = examples_.find({"architecture", kind.name});
  report_.check(of, "it builds with its defaults", name_, [&] {
    ConfigNode config = ConfigNode::make_mapping();
    const Tokenizer* tokenizer = nullptr;
    if (example != examples_.end()) {
      for (const std::string& key : conformance::required_options(kind))
        config.add(key, *example->second.config.find(key));
      tokenizer = uses_[example->second.use].tokenizer(environment_);
    }
    try {
      make_architecture(kind.name, config, tokenizer);
    } catch (const ConfigError& error) {  // more than what is marked as required
      if (example != examples_.end()) throw;
      return Problems{c10::str(error.what(),
                               "\n        An experiment can give what it needs (a "
                               "tokenizer, options): add --experiment FILE.yaml")};
    }
    return Problems();
  });
}

void PluginCheck::make_architecture(const std::string& kind, const ConfigNode& config,
                                    const Tokenizer* tokenizer) const {
  const auto& kinds = registry_.architectures.kinds();
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [&](const auto& each) { return each.name == kind; });
  conformance::build_layers(*found->create(config, {tokenizer}));
}

/// Once a kind. `use`: makes it with such options, and uses it.
void PluginCheck::check_refusals(const std::string& sort, const std::string& name,
                                 const ConfigNode& config,
                                 const std::function<void(const ConfigNode& config)>& use) {
  if (!refused_.insert({sort, name}).second) return;
  for (const KindSection& section : kind_sections(registry_))
    for (const KindView& kind : section.kinds)
      if (section.sort == sort && kind.name == name) {
        report_.check(sort + " " + name, "wrong options are refused in words", name_,
                      [&] { return conformance::check_refusals(kind, config, use); });
        return;
      }
}

/// An experiment with other options, without what earlier ones left in a cache.
Assembly PluginCheck::remake(const Use& use, const Experiment& changed, const std::string& split) {
  AssemblyOptions options;
  options.train = split == "train";
  options.validation = split == "validation";
  options.test = split == "test";
  options.cache_dir = scratch_.make();
  return triga::assemble(changed, use.loaded->kinds().registry(), options);
}

void PluginCheck::check_use(Use& use) {
  const Experiment& experiment = use.experiment();
  const Subject subject = subject_of(use);
  if (is_own(experiment.model.plugin)) check_architecture(use, subject);
  check_split(use, "train", &Assembly::train,
              [](Experiment& of) -> KindConfig* { return &of.data.train; });
  check_split(use, "validation", &Assembly::validation,
              [](Experiment& of) { return of.data.validation ? &*of.data.validation : nullptr; });
  check_split(use, "test", &Assembly::test,
              [](Experiment& of) { return of.data.test ? &*of.data.test : nullptr; });
  if (experiment.data.tokenizer && is_own(experiment.data.tokenizer->plugin))
    check_tokenizer(use, *subject.tokenizer);
  const Assembly& made = use.assemble(environment_, {});
  if (is_own(experiment.optimizer.plugin)) check_optimizer(use, made);
  if (is_own(experiment.learning_rate_schedule.plugin)) check_schedule(use, made);
  for (size_t i = 0; i < experiment.eval.metrics.size(); ++i)
    if (is_own(experiment.eval.metrics[i].plugin)) check_metric(use, made, subject, i);
}

void PluginCheck::check_architecture(Use& use, const Subject& subject) {
  const ModelConfig& model = use.experiment().model;
  const std::string of = "architecture " + model.kind;
  check_refusals("architecture", model.kind, model.config, [&](const ConfigNode& config) {
    Experiment changed = use.experiment();
    changed.model.config = config;
    conformance::use_architecture(*remake(use, changed).architecture, subject);
  });
  for (const conformance::Check& check : conformance::architecture_checks())
    report_.check(
        of, check.claim, name_, [&] { return check.find_problems(subject); },
        [&] { return check.find_nothing ? check.find_nothing(subject) : ""; });
}

/// `find`: its section in an experiment; null: it has none.
void PluginCheck::check_split(Use& use, const std::string& split,
                              std::unique_ptr<Dataset> Assembly::*dataset,
                              const std::function<KindConfig*(Experiment& of)>& find) {
  Experiment experiment = use.experiment();
  const KindConfig* config = find(experiment);
  if (config == nullptr || !is_own(config->plugin)) return;
  check_refusals("dataset", config->kind, config->options, [&](const ConfigNode& options) {
    Experiment changed = use.experiment();
    find(changed)->options = options;
    conformance::use_dataset(*(remake(use, changed, split).*dataset));
  });
  report_.check("dataset " + config->kind, fmt::format("data.{} is the same every time", split),
                name_, [&] {
                  return conformance::check_dataset(
                      [&] { return std::move(use.assemble(environment_, {split}).*dataset); });
                });
}

void PluginCheck::check_tokenizer(Use& use, const Tokenizer& tokenizer) {
  const KindConfig& config = *use.experiment().data.tokenizer;
  check_refusals("tokenizer", config.kind, config.options, [&](const ConfigNode& options) {
    Experiment changed = use.experiment();
    changed.data.tokenizer->options = options;
    conformance::use_tokenizer(*remake(use, changed).tokenizer);
  });
  report_.check("tokenizer " + config.kind, "a checkpoint's files make it again", name_, [&] {
    return conformance::check_tokenizer(tokenizer, [&](const auto& files) {
      return std::move(use.assemble(environment_, {}, files).tokenizer);
    });
  });
}

void PluginCheck::check_optimizer(Use& use, const Assembly& made) {
  const OptimizerConfig& config = use.experiment().optimizer;
  const std::string of = "optimizer " + config.kind;
  check_refusals("optimizer", config.kind, config.options, [&](const ConfigNode& options) {
    Experiment changed = use.experiment();
    changed.optimizer.options = options;
    conformance::use_optimizer(*remake(use, changed).make_optimizer());
  });
  report_.check(of, "a range may be cut anywhere, and a run may go on anywhere", name_,
                [&] { return conformance::check_optimizer(made.make_optimizer); });
  report_.check(of, "each group has values of its own", name_,
                [&] { return conformance::check_optimizer_groups(made.make_optimizer); });
}

void PluginCheck::check_schedule(Use& use, const Assembly& made) {
  constexpr int64_t kDecaySteps = 100;
  const LearningRateScheduleConfig& config = use.experiment().learning_rate_schedule;
  check_refusals("learning-rate schedule", config.kind, config.options,
                 [&](const ConfigNode& options) {
                   Experiment changed = use.experiment();
                   changed.learning_rate_schedule.options = options;
                   conformance::use_schedule(*remake(use, changed).make_schedule(kDecaySteps));
                 });
  report_.check("learning-rate schedule " + config.kind, "its factors are numbers", name_, [&] {
    return conformance::check_schedule([&] { return made.make_schedule(kDecaySteps); });
  });
}

/// The i-th of the experiment.
void PluginCheck::check_metric(Use& use, const Assembly& made, const Subject& subject, size_t i) {
  const KindConfig& config = use.experiment().eval.metrics[i];
  check_refusals("metric", config.kind, config.options, [&](const ConfigNode& options) {
    Experiment changed = use.experiment();
    changed.eval.metrics[i].options = options;
    conformance::use_metric(*remake(use, changed).make_metrics().at(i), subject);
  });
  report_.check("metric " + config.kind, "it merges to what one rank would count", name_, [&] {
    return conformance::check_merging(subject,
                                      [&] { return std::move(made.make_metrics().at(i)); });
  });
}

/// The experiment's model on its training data.
Subject PluginCheck::subject_of(Use& use) {
  const Assembly& made = use.assemble(environment_, {"train"});
  const ModelConfig& model = use.experiment().model;
  const auto& kind = find_kind(use.loaded->kinds().registry().architectures, "architecture",
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
  subject.sampler_inputs = inputs_for(*made.architecture);
  subject.scratch_dir = scratch_.make().string();
  return subject;
}

/// Those that this sampler has; nothing when one that it needs is not given.
std::optional<ConfigNode> PluginCheck::inputs_for(const Architecture& model) {
  const auto sampler = model.sampler();
  if (!sampler) return std::nullopt;
  const ConfigNode schema = sampler->schema();
  ConfigNode inputs = ConfigNode::make_mapping();
  for (const auto& [key, value] : inputs_.entries)
    if (schema.find("properties")->find(key) != nullptr) {
      inputs.add(key, value);
      used_inputs_.insert(key);
    }
  if (const ConfigNode* required = schema.find("required"))
    for (const ConfigNode& key : required->items)
      if (inputs.find(key.scalar) == nullptr) return std::nullopt;
  return inputs;
}

void PluginCheck::refuse_unused_inputs() const {
  for (const ConfigEntry& entry : inputs_.entries)
    if (!used_inputs_.contains(entry.key))
      throw ConfigError(fmt::format(
          "--input {}: no sampler of the experiments' models has such an input", entry.key));
}

}  // namespace

ExitStatus check_plugin(const CommandEnvironment& environment,
                        const PluginCheckArguments& arguments, std::ostream& out) {
  at::set_num_threads(1);  // models of checks are small, and ranks are threads of this process
  return PluginCheck(environment, arguments, out).run();
}

}  // namespace triga
