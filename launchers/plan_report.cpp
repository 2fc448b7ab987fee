#include "launchers/plan_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "parallel/pipeline/schedule_text.h"

namespace triga {
namespace {

std::string bytes_in_words(int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (value >= 1e9) return fmt::format("{:.2f} GB", value * 1e-9);
  return fmt::format("{:.1f} MB", value * 1e-6);
}

std::string seconds_in_words(double seconds) {
  if (seconds >= 1) return fmt::format("{:.2f} s", seconds);
  if (seconds >= 1e-3) return fmt::format("{:.1f} ms", seconds * 1e3);
  return fmt::format("{:.0f} us", seconds * 1e6);
}

/// "h.0 ... h.5 (6)"
std::string layers_in_words(const PlanQuestion& question, const StagePlan& stage) {
  const size_t count = stage.end - stage.begin;
  const std::string& first = question.layers[stage.begin].name;
  if (count == 1) return first;
  return fmt::format("{} ... {} ({})", first, question.layers[stage.end - 1].name, count);
}

std::string stage_table(const PlanQuestion& question, const Plan& plan) {
  size_t width = 6;
  for (const StagePlan& stage : plan.stages)
    width = std::max(width, layers_in_words(question, stage).size());
  std::string text =
      fmt::format("{:>5} {:>5}  {:<{}}  {:>12}  {:>9}  {:>9}  {:>11}\n", "stage", "rank", "layers",
                  width, "parameters", "forward", "backward", "kept");
  for (size_t i = 0; i < plan.stages.size(); ++i) {
    const StagePlan& stage = plan.stages[i];
    text += fmt::format("{:>5} {:>5}  {:<{}}  {:>12L}  {:>9}  {:>9}  {:>11}\n", i, stage.rank,
                        layers_in_words(question, stage), width, stage.num_parameters,
                        seconds_in_words(stage.forward), seconds_in_words(stage.backward),
                        bytes_in_words(stage.kept_bytes));
  }
  return text + "  of a microbatch; kept: from its forward to its backward\n";
}

std::string rank_table(const Plan& plan) {
  std::string text = fmt::format("{:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>11}  {:>10}  {:>10}\n",
                                 "rank", "values", "gradients", "optimizer", "snapshot",
                                 "activations", "batches", "in all");
  for (size_t i = 0; i < plan.ranks.size(); ++i) {
    const RankPlan& rank = plan.ranks[i];
    text += fmt::format("{:>5}  {:>10}  {:>10}  {:>10}  {:>10}  {:>11}  {:>10}  {:>10}\n", i,
                        bytes_in_words(rank.state.values_bytes + rank.state.fixed_bytes),
                        bytes_in_words(rank.state.gradients_bytes),
                        bytes_in_words(rank.state.masters_bytes + rank.state.optimizer_bytes),
                        bytes_in_words(rank.state.snapshot_bytes),
                        bytes_in_words(rank.activation_bytes), bytes_in_words(rank.batch_bytes),
                        bytes_in_words(rank.total_bytes()));
  }
  if (plan.ranks.front().state.snapshot_bytes > 0)
    text += "  snapshot: from the first checkpoint on that is written in the background\n";
  return text;
}

}  // namespace

std::string plan_report(const PlanQuestion& question, const Plan& plan, int columns) {
  const int num_ranks = question.schedule.num_ranks();
  std::string text = stage_table(question, plan) + "\n" + rank_table(plan) + "\n";
  text += fmt::format(
      "a step: {} = forward and backward {} + update {}\n", seconds_in_words(plan.step_seconds()),
      seconds_in_words(plan.simulation.seconds), seconds_in_words(plan.update_seconds));
  if (question.dp > 1)
    text += "  (the reduction of gradients is taken to be hidden behind backward)\n";
  if (question.zero == 2 && !question.bucket_bytes_are_set)
    text += fmt::format(
        "  (buckets of gradients of {} are assumed; a run measures what suits the machine, unless "
        "parallel.bucket_bytes says it)\n",
        bytes_in_words(question.bucket_bytes));
  if (num_ranks > 1)
    text += fmt::format("bubble: {:.1f} % of the time of the rank that waits most\n\n{}",
                        100 * plan.simulation.bubble(), to_grid(plan.simulation, columns));
  return text;
}

std::string plan_as_json(const PlanQuestion& question, const Plan& plan) {
  nlohmann::ordered_json json;
  json["dp"] = question.dp;
  json["pp"] = question.schedule.num_ranks();
  json["schedule"] = question.schedule.name;
  json["num_microbatches"] = question.schedule.num_microbatches;
  json["bounds"] = question.bounds;
  json["step_seconds"] = plan.step_seconds();
  json["pipeline_seconds"] = plan.simulation.seconds;
  json["update_seconds"] = plan.update_seconds;
  json["bubble"] = plan.simulation.bubble();
  for (const StagePlan& stage : plan.stages)
    json["stages"].push_back({{"layers", {stage.begin, stage.end}},
                              {"rank", stage.rank},
                              {"parameters", stage.num_parameters},
                              {"forward_seconds", stage.forward},
                              {"backward_seconds", stage.backward},
                              {"backward_input_seconds", stage.backward_input},
                              {"backward_weight_seconds", stage.backward_weight},
                              {"transfer_seconds", stage.transfer},
                              {"kept_bytes", stage.kept_bytes}});
  for (const RankPlan& rank : plan.ranks)
    json["ranks"].push_back({{"values_bytes", rank.state.values_bytes + rank.state.fixed_bytes},
                             {"gradients_bytes", rank.state.gradients_bytes},
                             {"masters_bytes", rank.state.masters_bytes},
                             {"optimizer_bytes", rank.state.optimizer_bytes},
                             {"snapshot_bytes", rank.state.snapshot_bytes},
                             {"activation_bytes", rank.activation_bytes},
                             {"batch_bytes", rank.batch_bytes},
                             {"total_bytes", rank.total_bytes()}});
  return json.dump();
}

}  // namespace triga
