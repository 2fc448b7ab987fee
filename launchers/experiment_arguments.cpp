#include "launchers/experiment_arguments.h"

namespace triga {

void ExperimentArguments::add_file_to(CLI::App& app) {
  app.add_option("experiment", file, "Experiment file (YAML)")->required();
  app.add_option("--set", overrides, "Override a key: --set train.max_steps=50 (may be repeated)")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("KEY=VALUE");
}

void ExperimentArguments::add_to(CLI::App& app) {
  add_file_to(app);
  app.add_option("--run-dir", run_dir, "Folder of the run. Default: runs/<name of the experiment>");
  auto* resume_option = app.add_option(
      "--resume", resume,
      "auto: go on where this run directory stopped; or the PATH of a checkpoint to start from");
  resume_option->capture_default_str();
  app.add_flag("--fresh", fresh, "Start anew; a run that is there is moved aside, never deleted")
      ->excludes(resume_option);
  app.add_option("--progress", progress, "auto: a bar on a terminal, lines elsewhere")
      ->check(CLI::IsMember({"auto", "bar", "lines"}));
  app.add_option(
         "--profile", profile_steps,
         "Record so many steps of all ranks: RUN_DIR/trace.json for Perfetto and Chrome, and a "
         "summary")
      ->check(CLI::NonNegativeNumber)
      ->type_name("N");
}

std::vector<std::string> ExperimentArguments::to_command_line() const {
  std::vector<std::string> line = {file};
  for (const std::string& override : overrides) line.insert(line.end(), {"--set", override});
  if (!run_dir.empty()) line.insert(line.end(), {"--run-dir", run_dir});
  if (profile_steps > 0) line.insert(line.end(), {"--profile", std::to_string(profile_steps)});
  if (fresh)
    line.push_back("--fresh");
  else
    line.insert(line.end(), {"--resume", resume});
  return line;
}

}  // namespace triga
