#include "launchers/plugin_check.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
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
#include "launchers/check_report.h"
#include "launchers/inputs_file.h"
#include "launchers/loaded_experiment.h"
#include "plugin_host/library.h"
#include "plugin_host/trial.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using conformance::Problems;
using conformance::Subject;

/// Folders of checks whose process crashed.
void remove_abandoned(const fs::path& parent) {
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, none)) {
    pid_t pid = 0;
    const bool is_scratch =
        std::sscanf(entry.path().filename().c_str(), "plugin-check-%d", &pid) == 1;
    if (is_scratch && ::kill(pid, 0) != 0 && errno == ESRCH)
      remove_all(posix_files(), entry.path());
  }
}

/// A folder for what checks write, removed with all in it.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path& parent)
      : path_(parent / fmt::format("plugin-check-{}", ::getpid())) {
    remove_abandoned(parent);
    remove_all(posix_files(), path_);
    make_directories(posix_files(), path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  /// A new one in it.
  std::string make(size_t number) const {
    const fs::path folder = path_ / std::to_string(number);
    make_directories(posix_files(), folder);
    return folder.string();
  }

 private:
  fs::path path_;
};

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
        scratch_(environment.cache_dir) {}

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
  void check_use(Use& use);
  void check_architecture(Use& use, const Subject& subject);
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
  size_t num_subjects_ = 0;
};

/// Nothing of the plugin runs here before it ran in a child.
bool PluginCheck::open() {
  PluginFile file;
  const bool is_open = report_.check("plugin", "its stamp is that of this Triga", "", [&] {
    file = PluginFile::inspect(arguments_.file);
    return Problems();
  }) && report_.check("plugin", "it opens in a child process", "", [&] {
    PluginTrial trial;
    trial.command = {environment_.executable.string(), "__open-plugin"};
    trial.cache_dir = environment_.cache_dir;
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
  report_.check(of, "wrong options are refused in words", name_, [&] {
    return conformance::check_refusals(kind, config, [&](const ConfigNode& resolved) {
      if (sort != "architecture") return;
      make_architecture(kind.name, resolved,
                        is_used ? uses_[example->second.use].tokenizer(environment_) : nullptr);
    });
  });
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

/// Builds every layer, which takes no memory. Throws: Error for one that cannot be.
void PluginCheck::make_architecture(const std::string& kind, const ConfigNode& config,
                                    const Tokenizer* tokenizer) const {
  const auto& kinds = registry_.architectures.kinds();
  const auto found =
      std::find_if(kinds.begin(), kinds.end(), [&](const auto& each) { return each.name == kind; });
  const auto model = found->create(config, {tokenizer});
  for (const LayerSpec& spec : model->layers()) {
    const auto layer = spec.build();
    for (const Parameter& parameter : layer->parameters())
      for (const int64_t extent : parameter.spec().shape)
        if (extent < 1)
          throw Error(
              fmt::format("parameter {} has an extent of {}", parameter.spec().name, extent));
  }
}

void PluginCheck::check_use(Use& use) {
  const Experiment& experiment = use.experiment();
  const Subject subject = subject_of(use);
  if (is_own(experiment.model.plugin)) check_architecture(use, subject);
  const auto check_split = [&](const KindConfig& config, const std::string& split,
                               std::unique_ptr<Dataset> Assembly::*dataset) {
    if (!is_own(config.plugin)) return;
    report_.check("dataset " + config.kind, fmt::format("data.{} is the same every time", split),
                  name_, [&] {
                    return conformance::check_dataset(
                        [&] { return std::move(use.assemble(environment_, {split}).*dataset); });
                  });
  };
  check_split(experiment.data.train, "train", &Assembly::train);
  if (experiment.data.validation)
    check_split(*experiment.data.validation, "validation", &Assembly::validation);
  if (experiment.data.test) check_split(*experiment.data.test, "test", &Assembly::test);
  if (const auto& tokenizer = experiment.data.tokenizer; tokenizer && is_own(tokenizer->plugin))
    report_.check("tokenizer " + tokenizer->kind, "a checkpoint's files make it again", name_, [&] {
      return conformance::check_tokenizer(*subject.tokenizer, [&](const auto& files) {
        return std::move(use.assemble(environment_, {}, files).tokenizer);
      });
    });
  Assembly& made = use.assemble(environment_, {});
  if (is_own(experiment.optimizer.plugin)) {
    const std::string optimizer = "optimizer " + experiment.optimizer.kind;
    report_.check(optimizer, "a range may be cut anywhere", name_,
                  [&] { return conformance::check_optimizer(made.make_optimizer); });
    report_.check(optimizer, "each group has values of its own", name_,
                  [&] { return conformance::check_optimizer_groups(made.make_optimizer); });
  }
  if (const auto& schedule = experiment.learning_rate_schedule; is_own(schedule.plugin))
    report_.check("learning-rate schedule " + schedule.kind, "its factors are numbers", name_, [&] {
      return conformance::check_schedule([&] { return made.make_schedule(100); });
    });
  for (size_t i = 0; i < experiment.eval.metrics.size(); ++i)
    if (const KindConfig& metric = experiment.eval.metrics[i]; is_own(metric.plugin))
      report_.check("metric " + metric.kind, "it merges to what one rank would count", name_, [&] {
        return conformance::check_merging(subject,
                                          [&] { return std::move(made.make_metrics().at(i)); });
      });
}

void PluginCheck::check_architecture(Use& use, const Subject& subject) {
  const std::string of = "architecture " + use.experiment().model.kind;
  for (const conformance::Check& check : conformance::architecture_checks())
    report_.check(
        of, check.claim, name_, [&] { return check.find_problems(subject); },
        [&] { return check.find_nothing ? check.find_nothing(subject) : ""; });
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
  subject.sampler_inputs = inputs_for(*made.architecture);
  subject.scratch_dir = scratch_.make(num_subjects_++);
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
