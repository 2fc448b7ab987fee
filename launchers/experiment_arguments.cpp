#include "launchers/experiment_arguments.h"

namespace triga {
namespace {

/// CLI11's own message for a number that is not positive names the largest one there is.
std::string wrong_number_of_steps(const std::string& text) {
  const bool is_number = !text.empty() && text.size() < 10 &&
                         text.find_first_not_of("0123456789") == std::string::npos;
  return is_number ? "" : "'" + text + "' is no number of steps; allowed: 0 and more, such as 10";
}

}  // namespace

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
      "auto: go on where this run directory stopped; or the PATH of a checkpoint to start from (of "
      "a run: of its best). Given again, it goes on, too");
  resume_option->capture_default_str()->check([](const std::string& path) {
    return path.empty() ? std::string("'' is no path; allowed: auto, or that of a checkpoint")
                        : std::string();
  });
  app.add_flag("--fresh", fresh, "Start anew; a run that is there is moved aside, never deleted")
      ->excludes(resume_option);
  app.add_option("--progress", progress, "auto: a bar on a terminal, lines elsewhere")
      ->check(CLI::IsMember({"auto", "bar", "lines"}));
  app.add_option(
         "--profile", profile_steps,
         "Record so many steps of all ranks: RUN_DIR/trace.json for Perfetto and Chrome, and a "
         "summary")
      ->check(wrong_number_of_steps)
      ->type_name("N");
}

void ExperimentArguments::add_site_to(CLI::App& app) {
  uses_site = true;
  app.add_option(
         "--site", site,
         "Site file: laid over `launch` of the experiment, after <prefix>/etc/triga/site.yaml "
         "and ~/.config/triga/site.yaml")
      ->type_name("FILE");
}

std::vector<std::string> ExperimentArguments::to_command_line() const {
  std::vector<std::string> line = {file.starts_with('-') ? "./" + file : file};
  if (progress != "auto") line.insert(line.end(), {"--progress", progress});
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
