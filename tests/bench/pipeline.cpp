// Steps of a pipeline whose stages sleep: `mpirun -n RANKS bench_pipeline SCHEDULE CHUNKS MICROBATCHES
// STEPS`. Rank 0 prints JSON: seconds of each step, and what the schedule takes ideally.
#include <ATen/Parallel.h>
#include <ATen/ops/ones.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "comm/mpi_communicator.h"
#include "comm/process_grid.h"
#include "optim/optimizers.h"
#include "parallel/pipeline/simulate.h"
#include "parallel/strategy.h"
#include "tests/support/sleeping_model.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kPartMs = 12;  // of a rank: forward, backward of inputs, backward of weights each

std::unique_ptr<Optimizer> make_sgd() {
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& entry : registry.optimizers.kinds())
    if (entry.name == "sgd") return entry.create(ConfigNode::make_mapping(), {});
  return nullptr;
}

double ideal_seconds(const Schedule& schedule, int chunks) {
  const double part = kPartMs * 1e-3 / chunks;
  StageCosts costs = equal_costs(schedule.num_stages(), part, part, part);
  costs.backward_input[0] = 0;  // there is no stage before it
  costs.backward_weight[0] = 2 * part;
  return simulate(schedule, costs).seconds;
}

void measure(Communicator& world, const ScheduleChoice& choice, int num_microbatches,
             int num_steps) {
  const double part = kPartMs / choice.chunks;
  const test::SleepingModel model(choice.num_stages(world.size()), {part, part, part});
  const ProcessGrid grid(world, {1, world.size()});
  Strategy::Options options;
  options.schedule = choice;
  Strategy strategy(model, Strategy::Groups{world, grid.data(), grid.pipeline()}, options,
                    make_sgd());
  strategy.parameters().initialize(1);
  std::vector<Batch> batches(static_cast<size_t>(num_microbatches));
  for (size_t i = 0; i < batches.size(); ++i) {
    batches[i].fields.set("x", at::ones({8, 4}));
    batches[i].num_samples = 8;
    batches[i].microbatch = static_cast<int64_t>(i);
  }
  std::string seconds;
  for (int step = 0; step < num_steps; ++step) {
    world.barrier("step");
    const auto start = Clock::now();
    strategy.forward_backward(batches, step);
    const double taken = std::chrono::duration<double>(Clock::now() - start).count();
    seconds += (step == 0 ? "" : ", ") + std::to_string(taken);
    strategy.clip_gradients(1);
    strategy.update(1e-3);
  }
  if (world.rank() == 0)
    std::printf("{\"ideal\": %.6f, \"seconds\": [%s]}\n",
                ideal_seconds(choice.schedule(world.size(), num_microbatches), choice.chunks),
                seconds.c_str());
}

}  // namespace
}  // namespace triga

int main(int count, char** arguments) {
  if (count != 5) return 2;
  at::set_num_threads(1);
  const auto world = triga::open_mpi_world({{}, std::chrono::minutes(1)});
  triga::measure(*world, {arguments[1], std::atoi(arguments[2]), {}}, std::atoi(arguments[3]),
                 std::atoi(arguments[4]));
  world->finish();
  return 0;
}
