// triga plan: what a step takes on each rank, memory and time, before anything runs there. Needs no
// GPU and no MPI: the layers are measured in this process, or their costs read from a file.
#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <iostream>

#include "base/files.h"
#include "comm/local_communicator.h"
#include "comm/process_grid.h"
#include "launchers/command.h"
#include "launchers/compute_process.h"
#include "launchers/loaded_experiment.h"
#include "launchers/plan_report.h"
#include "parallel/pipeline/schedule_text.h"
#include "parallel/planning/cost_file.h"
#include "parameters/declarations.h"
#include "trainer/experiment_plan.h"
#include "trainer/model_check.h"

namespace triga {
namespace {

struct PlanArguments {
  ExperimentArguments experiment;
  std::optional<int> num_ranks;
  std::string costs, save_costs, svg;
  double memory_gb = 0;
  bool as_json = false;
};

GridShape grid_of(const LoadedExperiment& loaded, std::optional<int> num_ranks) {
  const ParallelConfig& parallel = loaded.experiment().parallel;
  const auto ranks = num_ranks.value_or(static_cast<int>(loaded.experiment().launch.num_ranks()));
  loaded.check_grid(ranks);
  return resolve_grid(ranks, parallel.dp, parallel.pp);
}

LayerCosts costs_of(const LoadedExperiment& loaded, const Assembly& assembly,
                    const PlanArguments& arguments, const std::string& setting, int num_ranks,
                    bool shows_progress) {
  if (!arguments.costs.empty())
    return costs_from_text(read_text(posix_files(), arguments.costs),
                           layers_of(*assembly.architecture), setting, arguments.costs);
  const auto progress = [&](size_t layer, size_t num_layers) {
    if (!shows_progress) return;
    std::cerr << fmt::format("\rmeasuring layer {} of {} ...", layer + 1, num_layers) << std::flush;
  };
  const auto alone = loaded.device().attach(make_single_communicator(), std::chrono::minutes(5));
  // On a GPU each rank has one for itself.
  const int at_once =
      loaded.device().is_cuda()
          ? 1
          : std::clamp(count_cores(environment_variable).mine / at::get_num_threads(), 1,
                       num_ranks);
  LayerCosts costs =
      measure_costs_of_ranks(at_once, loaded.experiment(), assembly, *alone, progress);
  if (shows_progress) std::cerr << "\r\x1b[K";
  return costs;
}

std::string title_of(const LoadedExperiment& loaded, const PlanQuestion& question,
                     int64_t num_parameters) {
  const int pp = question.schedule.num_ranks();
  return fmt::format(
      "{}: {:L} parameters, {} layers; dp {} x pp {} = {} {}; {}, {} {} of {} samples",
      loaded.experiment().name, num_parameters, question.layers.size(), question.dp, pp,
      question.dp * pp, question.dp * pp == 1 ? "rank" : "ranks", question.schedule.name,
      question.schedule.num_microbatches,
      question.schedule.num_microbatches == 1 ? "microbatch" : "microbatches",
      loaded.experiment().train.microbatch_size);
}

ExitStatus plan(const CommandEnvironment& environment, const PlanArguments& arguments) {
  // With costs from a file nothing is computed: the device need not be here.
  const LoadedExperiment loaded(environment, arguments.experiment,
                                arguments.costs.empty() ? LoadedExperiment::Purpose::kCompute
                                                        : LoadedExperiment::Purpose::kLook);
  const GridShape grid = grid_of(loaded, arguments.num_ranks);
  prepare_to_compute(grid.dp * grid.pp);
  if (const auto threads = loaded.experiment().parallel.threads)
    at::set_num_threads(static_cast<int>(*threads));
  const Assembly assembly = loaded.assemble(environment, {"train"});
  const int64_t num_parameters = check_model(loaded.experiment(), assembly, posix_files());
  const std::string setting =
      cost_setting(loaded.experiment(), *assembly.architecture, num_parameters);
  const LayerCosts costs = costs_of(loaded, assembly, arguments, setting, grid.dp * grid.pp,
                                    environment.is_terminal && !arguments.as_json);
  if (!arguments.save_costs.empty())
    atomic_write(posix_files(), arguments.save_costs, costs_to_text(costs, setting));
  const PlanQuestion question = plan_question(loaded.experiment(), assembly, grid, costs,
                                              static_cast<int64_t>(arguments.memory_gb * 1e9));
  const Plan made = make_plan(question);
  const std::string title = title_of(loaded, question, num_parameters);
  if (!arguments.svg.empty())
    atomic_write(posix_files(), arguments.svg, to_svg(made.simulation, title));
  if (arguments.as_json)
    std::cout << plan_as_json(question, made) << std::endl;
  else
    std::cout << title << "\n\n" << plan_report(question, made, environment.terminal_columns);
  if (splits_backward(question.schedule) && question.recomputes)
    std::cerr << fmt::format(
        "triga: warning: {} gains nothing with parallel.recompute: {}: what is recomputed gives "
        "all "
        "its gradients at once\n",
        question.schedule.name, loaded.experiment().parallel.recompute);
  if (const double needed = static_cast<double>(made.most_bytes());
      arguments.memory_gb > 0 && needed > arguments.memory_gb * 1e9)
    std::cerr << fmt::format(
        "triga: warning: a rank needs {:.1f} MB, more than --memory: {:g} GB\n", needed * 1e-6,
        arguments.memory_gb);
  return ExitStatus::kDone;
}

std::string wrong_number_of_ranks(const std::string& text) {
  const bool is_number =
      !text.empty() && text.size() < 7 && text.find_first_not_of("0123456789") == std::string::npos;
  return is_number && std::stoi(text) > 0
             ? ""
             : "'" + text + "' is no number of ranks; allowed: 1 and more";
}

}  // namespace

void add_plan(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<PlanArguments>();
  CLI::App* sub = app.add_subcommand(
      "plan", "Memory of each rank, time of each stage and the schedule, before anything runs.");
  arguments->experiment.add_file_to(*sub);
  arguments->experiment.add_site_to(*sub);
  sub->add_option("-n", arguments->num_ranks,
                  "Number of ranks that are to share the work. Default: launch.nodes * "
                  "launch.ranks_per_node")
      ->check(wrong_number_of_ranks)
      ->type_name("RANKS");
  sub->add_option("--costs", arguments->costs,
                  "What layers cost, from this file, in place of a measurement here")
      ->check(CLI::ExistingFile)
      ->type_name("FILE");
  sub->add_option("--save-costs", arguments->save_costs, "Write what layers cost into this file")
      ->type_name("FILE");
  sub->add_option("--memory", arguments->memory_gb,
                  "With partition auto: memory that a rank has, in GB; more than that in no stage "
                  "where a cut allows it")
      ->check(CLI::NonNegativeNumber)
      ->type_name("GB");
  sub->add_option("--svg", arguments->svg, "Draw the schedule into this file")->type_name("FILE");
  sub->add_flag("--json", arguments->as_json, "One JSON object; seconds and bytes");
  sub->footer(
      "\nExamples:\n  triga plan experiments/transformer/gpt2_shakespeare.yaml -n 2 --set "
      "parallel.pp=2\n"
      "  triga plan a.yaml -n 8 --set parallel.pp=4 --set parallel.partition=auto --svg plan.svg\n"
      "  triga plan a.yaml --save-costs here.csv;  triga plan a.yaml --costs gpu.csv -n 64\n\n"
      "Each distinct layer goes forward and backward here, on the experiment's first microbatch, "
      "with as many threads as a rank would have if all ranks were on this host.");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return plan(command.environment, *arguments); };
  });
}

}  // namespace triga
