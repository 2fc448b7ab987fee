#include "trainer/model_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <regex>
#include <set>

#include "config/placed.h"
#include "config/vocabulary.h"
#include "parallel/model_stages.h"
#include "parallel/pipeline/flow.h"
#include "parallel/pipeline/schedule.h"
#include "parameters/declarations.h"
#include "trainer/snapshot_of_run.h"

namespace triga {
namespace {

void check_groups(const std::vector<GroupConfig>& groups, const SpecsByComponent& declared) {
  std::vector<std::string> names;
  for (const auto& [component, specs] : declared)
    for (const ParameterSpec& spec : specs)
      if (!spec.is_buffer) names.push_back(spec.name);
  for (const GroupConfig& group : groups) {
    const std::regex pattern(group.match);
    if (std::any_of(names.begin(), names.end(),
                    [&](const std::string& name) { return std::regex_search(name, pattern); }))
      continue;
    throw config_error(group.place.place_of("match"),
                       fmt::format("'{}' matches no parameter; the model has {}", group.match,
                                   names.empty() ? "none"
                                                 : fmt::format("{}: {} ... {}", names.size(),
                                                               names.front(), names.back())));
  }
}

/// Every metric is logged and written under its name, beside these of an evaluation itself.
void check_metrics(const Experiment& experiment, const Assembly& assembly) {
  const std::set<std::string> taken = {"loss", "seconds", "step", "split", "samples", "checkpoint"};
  std::vector<std::string> names = {"loss"};
  for (const auto& metric : assembly.architecture->metrics()) names.push_back(metric->name());
  const auto metrics = assembly.make_metrics();
  for (size_t i = 0; i < metrics.size(); ++i) {
    const std::string name = metrics[i]->name();
    const bool is_there = std::find(names.begin(), names.end(), name) != names.end();
    if (is_there || taken.contains(name))
      throw config_error(experiment.eval.metrics[i].options,
                         fmt::format("'{}' is the name of another number of an evaluation", name));
    names.push_back(name);
  }
  const auto& best = experiment.checkpoint.keep_best;
  if (!best) return;
  for (std::string& name : names) name.insert(0, "validation/");
  if (std::find(names.begin(), names.end(), best->metric) == names.end())
    throw config_error(best->place.place_of("metric"),
                       "no such metric: " + unknown_word(best->metric, names));
}

/// What a model that carries its state from step to step asks of the data and the layout.
void check_streams(const Experiment& experiment, const Assembly& assembly) {
  if (!assembly.architecture->carries_state()) return;
  const auto refuse = [&](const ConfigNode& place, const std::string& cure) {
    throw config_error(place, "the model carries its state from step to step, " + cure);
  };
  if (experiment.data.shuffle)
    refuse(experiment.data.place.place_of("shuffle"),
           "so each row of a step reads a stream of the data in order: set data.shuffle: false");
  if (!experiment.train.global_batch.samples)
    refuse(experiment.train.place.place_of("global_batch"),
           "so a step has a fixed number of streams: set train.global_batch.samples");
  if (experiment.parallel.recompute != "none")
    refuse(experiment.parallel.place.place_of("recompute"),
           "so no layer can run a second time; allowed: none");
  const auto check_data = [&](const Dataset* dataset, const ConfigNode& place) {
    if (dataset != nullptr && !dataset->is_continuous())
      refuse(place,
             "and samples of this kind do not go on from each other; those of kind text with pack: "
             "true do");
  };
  check_data(assembly.train.get(), experiment.data.train.options);
  if (experiment.data.validation)
    check_data(assembly.validation.get(), experiment.data.validation->options);
  if (experiment.data.test) check_data(assembly.test.get(), experiment.data.test->options);
}

/// Stages of the schedule, and how many a rank has, in words.
std::pair<size_t, std::string> count_stages(const ParallelConfig& parallel) {
  const auto pp = static_cast<int>(parallel.pp);
  const ScheduleChoice choice = schedule_choice_of(parallel);
  if (choice.own) {
    placed(parallel.place.place_of("pipeline_schedule_file"),
           [&] { return choice.schedule(pp, 1); });
    const auto num_stages = static_cast<size_t>(choice.num_stages(pp));
    return {num_stages, fmt::format("{} ranks with {} stages", pp, num_stages)};
  }
  const ScheduleKind& schedule = find_schedule(choice.name);
  const int chunks = choice.chunks;
  if (chunks < schedule.least_chunks || chunks > schedule.most_chunks)
    throw config_error(parallel.place.place_of("pipeline_chunks"),
                       fmt::format("schedule {} takes {}, not {}", schedule.name,
                                   schedule.least_chunks == schedule.most_chunks
                                       ? fmt::format("{} a rank", schedule.least_chunks)
                                       : fmt::format("{} to {} a rank", schedule.least_chunks,
                                                     schedule.most_chunks),
                                   chunks));
  return {static_cast<size_t>(choice.num_stages(pp)),
          fmt::format("{} ranks with {} {} each", pp, chunks, chunks == 1 ? "stage" : "stages")};
}

void check_samples(const Experiment& experiment, const Architecture& architecture) {
  const auto& samples = experiment.log.samples;
  if (!samples) return;
  const std::optional<SamplerKind> sampler = architecture.sampler();
  if (!sampler)
    throw config_error(samples->place, fmt::format("{} {} does not generate anything",
                                                   experiment.model.plugin, experiment.model.kind));
  placed(samples->place.place_of("inputs"), [&] { return sampler->create(samples->inputs); });
}

}  // namespace

std::vector<size_t> stage_bounds(const ParallelConfig& parallel, size_t num_layers) {
  const auto [num_stages, in_words] = count_stages(parallel);
  if (num_layers < num_stages)
    throw config_error(
        parallel.place.place_of("pp"),
        fmt::format("{} need {} layers; the model has {}", in_words, num_stages, num_layers));
  const std::vector<int64_t>& cuts = parallel.partition.list;
  if (cuts.empty()) return uniform_bounds(num_layers, num_stages);
  if (cuts.size() + 1 != num_stages)
    throw config_error(parallel.place.place_of("partition"),
                       fmt::format("{} cuts make {} stages; there are {} ({})", cuts.size(),
                                   cuts.size() + 1, num_stages, in_words));
  if (cuts.back() >= static_cast<int64_t>(num_layers))
    throw config_error(parallel.place.place_of("partition"),
                       fmt::format("the model has layers 0 to {}", num_layers - 1));
  std::vector<size_t> bounds = {0};
  bounds.insert(bounds.end(), cuts.begin(), cuts.end());
  bounds.push_back(num_layers);
  return bounds;
}

int64_t check_model(const Experiment& experiment, const Assembly& assembly, FileSystem& files,
                    bool begins) {
  const std::vector<LayerSpec> layers = layers_of(*assembly.architecture);
  check_layers(layers);
  stage_bounds(experiment.parallel, layers.size());
  const auto declared = specs_by_component(layers);
  check_groups(experiment.optimizer.groups, declared);
  check_metrics(experiment, assembly);
  check_streams(experiment, assembly);
  check_samples(experiment, *assembly.architecture);
  if (const auto& init = experiment.model.init; init && begins)
    placed(init->place, [&] {
      plan_weights(*assembly.architecture, declared, files, init->from.path,
                   {init->strict, init->reinitialize});
      return 0;
    });
  int64_t num_parameters = 0;
  for (const auto& [component, specs] : declared)
    for (const ParameterSpec& spec : specs) num_parameters += spec.is_buffer ? 0 : spec.numel();
  return num_parameters;
}

}  // namespace triga
