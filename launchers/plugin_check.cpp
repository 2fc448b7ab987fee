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
#include "conformance/subject.h"
#include "conformance/use.h"
#include "launchers/check_report.h"
#include "launchers/inputs_file.h"
#include "launchers/loaded_experiment.h"
#include "launchers/scratch_folder.h"
#include "launchers/use_check.h"
#include "plugin_host/library.h"
#include "plugin_host/trial.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using conformance::Problems;
using conformance::Subject;

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
      for (UseCheck& use : uses_) use.run(refused_);
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
  CheckReport report_;
  ScratchFolder scratch_;
  std::string name_;
  fs::path path_;
  Registry registry_;  // of the plugin alone
  std::deque<UseCheck> uses_;
  std::map<std::pair<std::string, std::string>, Example> examples_;  // by sort and kind
  UseCheck::Kinds refused_;  // those of which wrong options were tried
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
  ExperimentArguments arguments;
  arguments.file = file;
  auto loaded =
      std::make_unique<LoadedExperiment>(environment_, arguments, LoadedExperiment::Purpose::kLook);
  for (const OpenPlugin& plugin : loaded->kinds().host().opened())
    if (plugin.name == name_ && !fs::equivalent(plugin.path, path_))
      throw ConfigError(
          fmt::format("{}: opens {}, not {}", file, plugin.path.string(), path_.string()));
  uses_.emplace_back(std::move(loaded),
                     UseCheck::Context{environment_, name_, registry_, inputs_, report_, scratch_});
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
      tokenizer = uses_[example->second.use].tokenizer();
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

void PluginCheck::refuse_unused_inputs() const {
  for (const ConfigEntry& entry : inputs_.entries)
    if (std::none_of(uses_.begin(), uses_.end(),
                     [&](const UseCheck& use) { return use.has_input(entry.key); }))
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
