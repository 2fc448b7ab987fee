#include "launchers/loaded_experiment.h"

#include <unistd.h>

#include "base/absolute_path.h"
#include "base/progress_bar.h"
#include "comm/process_grid.h"
#include "config/load.h"
#include "config/placed.h"
#include "data/core_kinds.h"
#include "optim/optimizers.h"
#include "optim/schedules.h"

namespace triga {

OpenRegistry::OpenRegistry(const CommandEnvironment& environment) {
  register_core_datasets(registry_);
  register_core_tokenizers(registry_);
  register_core_optimizers(registry_);
  register_core_schedules(registry_);
  PluginTrial trial;
  trial.command = {environment.executable.string(), "__open-plugin"};
  trial.cache_dir = environment.cache_dir;
  host_ = std::make_unique<PluginHost>(
      registry_, PluginSearchPath(environment.plugin_folders, environment.plugin), trial);
}

std::map<std::string, std::string> OpenRegistry::identities() const {
  std::map<std::string, std::string> identities;
  for (const OpenPlugin& plugin : host_->opened())
    identities["plugin " + plugin.name] =
        plugin.version + " (content " + plugin.content_hash.substr(0, 12) + ")";
  return identities;
}

LoadedExperiment::LoadedExperiment(const CommandEnvironment& environment,
                                   const ExperimentArguments& arguments, Purpose purpose)
    : kinds_(environment), arguments_(arguments) {
  ConfigSource source;
  source.file = arguments.file;
  source.overrides = arguments.overrides;
  if (arguments.uses_site) {
    source.site_files = environment.site_files;
    if (!arguments.site.empty()) source.site_files.push_back(arguments.site);
  }
  source.variables.data_dir = environment.data_dir;
  source.variables.environment = [&arguments](const std::string& name) {
    const auto value = environment_variable(name);
    const auto stand_in = arguments.stand_ins.find(name);
    return value || stand_in == arguments.stand_ins.end() ? value : stand_in->second;
  };
  ConfigNode root = load_config(source);
  if (purpose == Purpose::kCompute) device_ = ChosenDevice(environment, root);
  for (const ConfigNode& plugin : named_plugins(root))
    placed(plugin, [&] { kinds_.host().open(plugin.scalar); });
  resolved_ = resolve_experiment(root, kinds_.registry());
  device_.check();
  device_.set_deterministic(experiment().train.deterministic);
}

std::filesystem::path LoadedExperiment::run_directory() const {
  if (!arguments_.run_dir.empty()) return without_slash_at_end(arguments_.run_dir);
  return std::filesystem::path("runs") / experiment().name;
}

void LoadedExperiment::check_grid(int num_ranks) const {
  const ParallelConfig& parallel = experiment().parallel;
  placed(parallel.place, [&] { return resolve_grid(num_ranks, parallel.dp, parallel.pp); });
}

Assembly LoadedExperiment::assemble(const CommandEnvironment& environment,
                                    const std::set<std::string>& splits,
                                    std::map<std::string, std::string> checkpoint_files) const {
  Terminal terminal({.descriptor = STDERR_FILENO, .is_interactive = environment.is_terminal});
  AssemblyOptions options;
  options.checkpoint_files = std::move(checkpoint_files);
  options.report_progress = progress_bar(terminal);
  options.train = splits.contains("train");
  options.validation = splits.contains("validation");
  options.test = splits.contains("test");
  options.cache_dir = environment.cache_dir;
  return triga::assemble(experiment(), kinds_.registry(), options);
}

}  // namespace triga
