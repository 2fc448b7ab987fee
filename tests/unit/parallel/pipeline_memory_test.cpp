// What ranks of a pipeline hold, in bytes of the allocator, against the bound of its schedule. All
// ranks are threads of this process, so that their memory is counted together.
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <atomic>
#include <numeric>

#include "base/memory_meter.h"
#include "comm/process_grid.h"
#include "parallel/pipeline/schedule_check.h"
#include "parallel/strategy.h"
#include "tests/support/core_optimizer.h"
#include "tests/support/local_ranks.h"
#include "tests/support/tanh_model.h"

namespace triga {
namespace {

constexpr int64_t kRows = 256;
constexpr int64_t kMessageBytes = kRows * test::kTanhWidth * 4;
constexpr int kTanhs = 24;  // of a layer: so many times what goes between stages

/// At the worst moment of a step, above what is there before it, of all ranks together.
int64_t peak_of_step(const std::string& schedule, int pp, int chunks, int num_microbatches) {
  MemoryMeter::install();
  std::vector<test::TanhModel::Part> parts;
  for (int i = 0; i < pp * chunks; ++i) parts.push_back({c10::str("layer.", i), kTanhs, 0});
  const test::TanhModel model(parts);
  std::vector<Batch> batches;
  for (int i = 0; i < num_microbatches; ++i) {
    Batch batch;
    batch.fields.set("x", at::ones({kRows, test::kTanhWidth}));
    batch.num_samples = kRows;
    batch.microbatch = i;
    batches.push_back(batch);
  }
  std::atomic<int64_t> peak = 0;
  testing::run_ranks(pp, [&](Communicator& world) {
    const ProcessGrid grid(world, {1, pp});
    Strategy::Options options;
    options.schedule = {schedule, chunks, {}};
    Strategy strategy(model, Strategy::Groups{world, grid.data(), grid.pipeline()}, options,
                      test::make_core_optimizer("sgd"));
    strategy.parameters().initialize(1);
    world.barrier("before the step");
    const int64_t before = MemoryMeter::use().now_bytes;
    world.barrier("all have looked");
    if (world.rank() == 0) MemoryMeter::reset_peak(at::kCPU);
    world.barrier("begin");
    strategy.forward_backward(batches, 0);
    world.barrier("end");
    if (world.rank() == 0) peak = MemoryMeter::use().peak_bytes - before;
  });
  return peak;
}

TEST(PipelineMemory, IsAtMostTheBoundOfTheSchedule) {
  constexpr int kMicrobatches = 8;
  for (const ScheduleKind& kind : schedule_kinds())
    for (const int pp : {2, 4}) {
      const int chunks = kind.least_chunks;
      const Schedule schedule = make_schedule(kind.name, {pp, kMicrobatches, chunks});
      const std::vector<int> held = peak_activations(schedule);
      const int bound = std::accumulate(held.begin(), held.end(), 0);
      const int64_t of_stage = kTanhs * kMessageBytes;
      const int64_t peak = peak_of_step(std::string(kind.name), pp, chunks, kMicrobatches);
      // Beside what is kept: the message that each held microbatch came in, a few under way, and
      // the gradients of the stage that goes backward.
      const int64_t messages = (bound + 8 * pp) * kMessageBytes;
      EXPECT_LE(peak, bound * of_stage + messages) << kind.name << " on " << pp;
      EXPECT_GE(peak, bound * of_stage / 2) << kind.name << " on " << pp;
    }
}

}  // namespace
}  // namespace triga
