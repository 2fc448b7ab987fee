// How much of communication a step hides on a slow link: `mpirun -n 2 bench_overlap BLOCKS`. For
// zero 0 and 1 a GPT takes steps with the link and without, in turn; rank 0 prints JSON: seconds of
// each step, and how long its collectives take alone.
#include <ATen/Parallel.h>
#include <ATen/ops/randint.h>

#include <chrono>
#include <cstdio>

#include "base/trace.h"
#include "comm/mpi_communicator.h"
#include "optim/optimizers.h"
#include "parallel/strategy.h"
#include "tests/support/throttled_communicator.h"
#include "transformer/gpt2.h"

namespace triga {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kTime = 256, kBatch = 4, kVocabulary = 512;

std::unique_ptr<Optimizer> make_adamw() {
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& entry : registry.optimizers.kinds())
    if (entry.name == "adamw") return entry.create(ConfigNode::make_mapping(), {});
  return nullptr;
}

std::string join(const std::vector<double>& values) {
  std::string text;
  for (const double value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return text;
}

void measure(Communicator& world, int zero, int num_blocks) {
  transformer::Gpt2Config config;
  config.num_layers = 12;
  config.num_heads = 6;
  config.hidden_size = 384;
  config.context_length = kTime;
  config.vocab_size = kVocabulary;
  config.dropout = 0.1;
  const transformer::Gpt2 model(config, {});
  test::ThrottledCommunicator data(world, {});
  Strategy::Options options;
  options.zero = zero;
  options.bucket_bytes = 4 << 20;
  Trace trace;
  options.trace = &trace;
  Strategy strategy(model, data, options, make_adamw());
  strategy.parameters().initialize(1);
  std::vector<Sample> samples;
  for (int64_t i = 0; i < kBatch; ++i)
    samples.push_back({{"tokens", at::randint(kVocabulary, {kTime + 1}, at::kLong)}});
  const std::vector<Batch> batches = {model.collate(samples, {})};
  std::vector<double> with, without, backward;
  double standalone = 0;
  // Blocks of steps, since the values of one step travel during the forward pass of the next.
  constexpr int kStepsInBlock = 3;
  for (int block = -2; block < 2 * num_blocks; ++block) {
    const bool throttled = block % 2 != 0;
    data.set_throttled(throttled);
    data.take_standalone_seconds();
    world.barrier("block");
    trace.record(!throttled);
    const auto start = Clock::now();
    for (int i = 0; i < kStepsInBlock; ++i) {
      strategy.forward_backward(batches, 0);
      strategy.clip_gradients(1);
      strategy.update(1e-4);
    }
    strategy.await_values();
    double seconds = std::chrono::duration<double>(Clock::now() - start).count() / kStepsInBlock;
    world.all_reduce_values({&seconds, 1}, ReduceOp::kMax, "slowest rank");
    standalone = data.take_standalone_seconds() / kStepsInBlock;
    double backward_seconds = 0;
    for (const TraceEvent& event : trace.take())
      if (event.kind == TraceKind::kBackward)
        backward_seconds += static_cast<double>(event.end_ns - event.begin_ns) * 1e-9;
    if (block < 0) continue;
    (throttled ? with : without).push_back(seconds);
    if (!throttled) backward.push_back(backward_seconds / kStepsInBlock);
  }
  if (world.rank() == 0)
    std::printf(
        "{\"zero\": %d, \"with\": [%s], \"without\": [%s], \"backward\": [%s], "
        "\"standalone\": %.6f}\n",
        zero, join(with).c_str(), join(without).c_str(), join(backward).c_str(), standalone);
}

}  // namespace
}  // namespace triga

int main(int, char** argv) {
  at::set_num_threads(1);
  const auto world = triga::open_mpi_world({});
  for (const int zero : {0, 1}) triga::measure(*world, zero, std::stoi(argv[1]));
  world->finish();
}
