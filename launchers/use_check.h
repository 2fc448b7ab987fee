// UseCheck: what `triga plugin check` holds the kinds of a plugin to that an experiment uses, on its
// data and with its options.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "conformance/subject.h"
#include "launchers/check_report.h"
#include "launchers/loaded_experiment.h"
#include "launchers/scratch_folder.h"

namespace triga {

class UseCheck {
 public:
  /// Of the whole check; must outlive it.
  struct Context {
    const CommandEnvironment& environment;
    const std::string& plugin;
    const Registry& registry;  // of the plugin alone
    const ConfigNode& inputs;  // of samplers
    CheckReport& report;
    ScratchFolder& scratch;
  };
  using Kinds = std::set<std::pair<std::string, std::string>>;  // by sort and name

  UseCheck(std::unique_ptr<LoadedExperiment> loaded, const Context& context);

  const Experiment& experiment() const { return loaded_->experiment(); }
  /// Null: the experiment has none.
  const Tokenizer* tokenizer();

  /// `refused`: kinds of which wrong options were tried; those of this experiment are added. Throws:
  /// Error for an experiment that is wrong in itself.
  void run(Kinds& refused);

  /// Whether a sampler of the experiment's model has this input.
  bool has_input(const std::string& key) const { return used_inputs_.contains(key); }

 private:
  using TryOptions = std::function<void(const ConfigNode& options)>;

  bool is_own(const std::string& plugin) const;
  Assembly& assemble(const std::set<std::string>& splits, const TextFiles& checkpoint_files = {});
  void check_refusals(const std::string& sort, const std::string& name, const ConfigNode& config,
                      const TryOptions& use);
  Assembly remake(const Experiment& changed, const std::string& split = "",
                  bool has_same_tokenizer = true);
  void check_architecture(const conformance::Subject& subject);
  void check_split(const std::string& split, std::unique_ptr<Dataset> Assembly::*dataset,
                   const std::function<KindConfig*(Experiment& of)>& find);
  void check_tokenizer();
  void check_optimizer(const Assembly& made);
  void check_schedule(const Assembly& made);
  void check_metric(const Assembly& made, const conformance::Subject& subject, size_t i);
  conformance::Subject subject();
  std::optional<ConfigNode> sampler_inputs(const Architecture& model);

  std::unique_ptr<LoadedExperiment> loaded_;
  Context context_;
  std::deque<Assembly> assemblies_;  // whose tokenizers and datasets checks still need
  std::set<std::string> used_inputs_;
  Kinds* refused_ = nullptr;
};

}  // namespace triga
