// Training with layers spread over ranks against one process, for a model that has everything: tied
// weights on three stages, a skip over several, activations without gradient, a frozen component,
// losses in the middle, step statistics, lengths that change from microbatch to microbatch.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "comm/local_communicator.h"
#include "comm/process_grid.h"
#include "parallel/pipeline/schedule_text.h"
#include "parallel/strategy.h"
#include "tests/support/core_optimizer.h"
#include "tests/support/encoder_decoder.h"
#include "tests/support/local_ranks.h"
#include "tests/support/message_of.h"
#include "tests/support/small_unet.h"

namespace triga {
namespace {

constexpr int64_t kFewSteps = 6, kManySteps = 50;

struct Layout {
  int dp = 1, pp = 1, chunks = 1, zero = 0;
  std::string schedule = "1f1b";
  Recompute recompute = Recompute::kNone;
  std::string optimizer = "adamw";
  std::optional<Schedule> own_schedule = {};
  bool is_unet = false;  // else the encoder-decoder
  int64_t num_steps = kFewSteps;
};

std::string name_of(const Layout& layout) {
  return c10::str(layout.is_unet ? "U-Net, " : "", "dp ", layout.dp, ", pp ", layout.pp, ", ",
                  layout.schedule, " of ", layout.chunks, " chunks, zero ", layout.zero, ", ",
                  layout.optimizer);
}

struct Record {
  std::vector<double> losses, sparsities, norms, votes;
  std::map<std::string, at::Tensor> values;  // of parameters and buffers, after the last step
  double evaluation = 0;
  at::Tensor prediction;
  at::Tensor continuation;  // of sequences that the model remembers, in another order
};

Batch make_batch(const Architecture& model, bool is_unet, int64_t first, int64_t num_samples,
                 int64_t microbatch) {
  std::vector<Sample> samples;
  for (int64_t i = 0; i < num_samples; ++i)
    samples.push_back(is_unet ? test::small_unet_sample(first + i, microbatch % 2 == 1)
                              : test::encoder_decoder_sample(first + i));
  Batch batch = model.collate(samples, {});
  batch.num_samples = num_samples;
  batch.microbatch = microbatch;
  return batch;
}

/// Seven microbatches of 1 to 3 samples, shared over the data-parallel ranks; the missing ones
/// empty.
std::vector<Batch> share(const Architecture& model, const Layout& layout, const ProcessGrid& grid,
                         int64_t step) {
  constexpr int64_t kNum = 7;
  const int64_t begin = kNum * grid.dp_rank() / grid.dp();
  const int64_t end = kNum * (grid.dp_rank() + 1) / grid.dp();
  std::vector<Batch> mine;
  for (int64_t i = begin; i < end; ++i)
    mine.push_back(make_batch(model, layout.is_unet, 40 * step + 4 * i, 1 + i % 3, i));
  mine.resize(static_cast<size_t>((kNum + grid.dp() - 1) / grid.dp()));
  return mine;
}

Record train(Communicator& world, const Layout& layout) {
  const ProcessGrid grid(world, {layout.dp, layout.pp});
  const test::EncoderDecoder encoder_decoder;
  const test::SmallUnet unet;
  const Architecture& model =
      layout.is_unet ? static_cast<const Architecture&>(unet) : encoder_decoder;
  Strategy::Options options;
  options.seed = 11;
  options.zero = layout.zero;
  options.recompute = layout.recompute;
  options.bucket_bytes = 2000;  // several
  options.schedule.name = layout.schedule;
  options.schedule.chunks = layout.chunks;
  options.schedule.own = layout.own_schedule;
  Strategy strategy(model, Strategy::Groups{world, grid.data(), grid.pipeline()}, options,
                    test::make_core_optimizer(layout.optimizer));
  strategy.parameters().initialize(11);
  Record record;
  for (int64_t step = 0; step < layout.num_steps; ++step) {
    double vote = 1;
    const StepLoss loss =
        strategy.forward_backward(share(model, layout, grid, step), step, {&vote, 1});
    record.votes.push_back(vote);
    record.losses.push_back(loss.mean());
    if (!layout.is_unet) record.sparsities.push_back(loss.totals.at("sparsity").mean());
    record.norms.push_back(strategy.clip_gradients(layout.optimizer == "sgd" ? 0 : 1.0));
    strategy.update(layout.optimizer == "sgd" ? 0.1 : 0.01);
  }
  const std::vector<Batch> batches = share(model, layout, grid, 100);
  size_t next = 0;
  record.evaluation = strategy
                          .evaluate([&]() -> std::optional<Batch> {
                            if (next == batches.size()) return std::nullopt;
                            return batches[next++];
                          })
                          .loss.mean();
  record.prediction = strategy.predictor()
                          .predict(make_batch(model, layout.is_unet, 900, 2, 0),
                                   nullptr)[layout.is_unet ? "image" : "logits"]
                          .clone();
  if (!layout.is_unet) {
    SequenceState state;
    const Batch batch = make_batch(model, false, 900, 2, 0);
    strategy.predictor().predict(batch, &state);
    state.reorder(at::tensor({1, 0}, at::kLong));
    record.continuation = strategy.predictor().predict(batch, &state)["logits"].clone();
    EXPECT_FALSE(record.continuation.allclose(record.prediction, 1e-4, 1e-5)) << "nothing carried";
  }
  strategy.await_values();
  for (const StoredParameter& parameter : strategy.parameters().parameters())
    record.values[parameter.name] = parameter.value.detach().clone();
  return record;
}

const Record& alone(const std::string& optimizer, bool is_unet, int64_t num_steps) {
  static std::map<std::tuple<std::string, bool, int64_t>, Record> known;
  Record& record = known[{optimizer, is_unet, num_steps}];
  if (record.losses.empty()) {
    Layout layout;
    layout.optimizer = optimizer;
    layout.is_unet = is_unet;
    layout.num_steps = num_steps;
    record = train(*make_single_communicator(), layout);
  }
  return record;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], 1e-5 * std::max(1.0, std::abs(expected[i]))) << "step " << i;
}

/// fp32 sums in another order.
void expect_run_of_one_process(const Layout& layout) {
  SCOPED_TRACE(name_of(layout));
  const Record& expected = alone(layout.optimizer, layout.is_unet, layout.num_steps);
  const int num_ranks = layout.dp * layout.pp;
  std::vector<Record> records(static_cast<size_t>(num_ranks));
  testing::run_ranks(num_ranks, [&](Communicator& world) {
    records[static_cast<size_t>(world.rank())] = train(world, layout);
  });
  std::map<std::string, at::Tensor> first;  // of each parameter, on the first rank that has it
  for (const Record& record : records) {
    EXPECT_EQ(record.losses, records[0].losses);
    EXPECT_EQ(record.norms, records[0].norms);
    EXPECT_EQ(record.votes, std::vector<double>(static_cast<size_t>(layout.num_steps), num_ranks));
    expect_near(record.losses, expected.losses);
    expect_near(record.sparsities, expected.sparsities);
    expect_near(record.norms, expected.norms);
    EXPECT_NEAR(record.evaluation, expected.evaluation, 1e-5 * expected.evaluation);
    EXPECT_TRUE(record.prediction.allclose(expected.prediction, 1e-4, 1e-5));
    if (!layout.is_unet)
      EXPECT_TRUE(record.continuation.allclose(expected.continuation, 1e-4, 1e-5));
    for (const auto& [name, value] : record.values) {
      EXPECT_TRUE(value.allclose(expected.values.at(name), 1e-4, 1e-5)) << name;
      EXPECT_TRUE(value.equal(first.try_emplace(name, value).first->second))
          << name << " differs between its owners";
    }
  }
  for (const auto& [name, value] : expected.values)
    EXPECT_TRUE(first.contains(name)) << "no rank has " << name;
}

struct Shape {
  int dp, pp;
};

TEST(Pipeline, GivesTheRunOfOneProcessForEverySchedule) {
  at::set_num_threads(1);
  for (const ScheduleKind& kind : schedule_kinds())
    for (const auto& [dp, pp] : {Shape{1, 1}, Shape{1, 2}, Shape{1, 4}, Shape{2, 2}}) {
      Layout layout;
      layout.schedule = kind.name;
      layout.chunks = kind.least_chunks;
      layout.dp = dp;
      layout.pp = pp;
      expect_run_of_one_process(layout);
    }
}

/// Calls function(layout) for every schedule with every number of chunks that the model has layers
/// for.
template <class Function>
void for_all_chunks(Layout layout, const Function& function) {
  const int num_layers = static_cast<int>(layout.is_unet ? test::SmallUnet().layers().size()
                                                         : test::EncoderDecoder().layers().size());
  ASSERT_GE(num_layers, 8);  // two stages on each of four ranks
  for (const ScheduleKind& kind : schedule_kinds())
    for (int chunks = kind.least_chunks;
         chunks <= std::min(kind.most_chunks, num_layers / layout.pp); ++chunks) {
      layout.schedule = kind.name;
      layout.chunks = chunks;
      function(layout);
    }
}

TEST(Pipeline, GivesFiftyStepsOfOneProcess) {
  at::set_num_threads(1);
  for (const bool is_unet : {false, true})
    for (const char* optimizer : {"adamw", "sgd"})
      for (const auto& [dp, pp] : {Shape{1, 2}, Shape{1, 4}, Shape{2, 2}}) {
        Layout layout;
        layout.is_unet = is_unet;
        layout.optimizer = optimizer;
        layout.dp = dp;
        layout.pp = pp;
        layout.num_steps = kManySteps;
        for_all_chunks(layout, expect_run_of_one_process);
      }
}

TEST(Pipeline, SendsSkipsOverSeveralStages) {
  for (const auto& [dp, pp] : {Shape{1, 2}, Shape{1, 3}, Shape{2, 2}}) {
    Layout layout;
    layout.is_unet = true;
    layout.dp = dp;
    layout.pp = pp;
    layout.zero = dp - 1;
    for_all_chunks(layout, expect_run_of_one_process);
  }
}

// Whole backward actions beside such in two parts, in another order on each rank.
TEST(Pipeline, RunsAUsersOwnSchedule) {
  Layout layout;
  layout.own_schedule = schedule_from_csv(
      "0F0,0F1,0F2,0I0,0F3,0B1,0W0,0F4,0I2,0F5,0B3,0F6,0W2,0B4,0B5,0I6,0W6\n"
      "1F0,1I0,1F1,1B1,1W0,1F2,1F3,1B2,1B3,1F4,1I4,1F5,1B5,1F6,1B6,1W4\n",
      "own.csv");
  for (const bool is_unet : {false, true})
    for (const Recompute recompute : {Recompute::kNone, Recompute::kFull})
      for (const auto& [dp, zero] : {std::pair{1, 0}, {2, 1}, {2, 2}}) {
        layout.is_unet = is_unet;
        layout.recompute = recompute;
        layout.dp = dp;
        layout.pp = 2;
        layout.zero = zero;
        expect_run_of_one_process(layout);
      }
}

TEST(Pipeline, WithMoreChunks) {
  for (const int chunks : {3, 4}) {
    Layout layout;
    layout.schedule = "interleaved_1f1b";
    layout.chunks = chunks;
    layout.pp = 2;
    expect_run_of_one_process(layout);
  }
}

TEST(Pipeline, WithShardedOptimizerAndGradients) {
  for (const char* schedule : {"1f1b", "zb_h1", "zb_v"})
    for (const int zero : {1, 2}) {
      Layout layout;
      layout.schedule = schedule;
      layout.chunks = layout.schedule == "zb_v" ? 2 : 1;
      layout.dp = layout.pp = 2;
      layout.zero = zero;
      expect_run_of_one_process(layout);
    }
}

TEST(Pipeline, WithRecomputation) {
  for (const char* schedule : {"1f1b", "zb_h1"})
    for (const Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
      Layout layout;
      layout.schedule = schedule;
      layout.pp = 2;
      layout.zero = 1;
      layout.recompute = recompute;
      expect_run_of_one_process(layout);
    }
}

TEST(Pipeline, WithPlainGradientDescent) {
  for (const char* schedule : {"gpipe", "zb_h1"})
    for (const int zero : {0, 2}) {
      Layout layout;
      layout.schedule = schedule;
      layout.dp = layout.pp = 2;
      layout.zero = zero;
      layout.optimizer = "sgd";
      expect_run_of_one_process(layout);
    }
}

TEST(Pipeline, RefusesMoreStagesThanLayers) {
  Layout layout;
  layout.schedule = "interleaved_1f1b";
  layout.chunks = 64;
  EXPECT_THAT(test::message_of<ConfigError>([&] { train(*make_single_communicator(), layout); }),
              ::testing::HasSubstr("cannot be 64 pipeline stages"));
}

}  // namespace
}  // namespace triga
