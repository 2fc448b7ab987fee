// Costs of layers whose costs are known, and plans against sums made by hand.
#include "parallel/planning/plan.h"

#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/memory_meter.h"
#include "comm/local_communicator.h"
#include "tests/support/core_optimizer.h"
#include "tests/support/encoder_decoder.h"
#include "tests/support/tanh_model.h"

namespace triga {
namespace {

using testing::ElementsAre;

using test::TanhModel;

constexpr int64_t kRows = 512, kWidth = test::kTanhWidth;
constexpr int64_t kBytes = kRows * kWidth * 4;  // of one activation
constexpr double kRounding = 0.01;              // an allocator gives a little more than asked for

TanhModel tanh_model() {
  return TanhModel({{"first", 1, 0}, {"block.0", 2, 3}, {"block.1", 2, 3}, {"last", 4, 0}});
}

CostMeasurement quick_measurement() {
  CostMeasurement measurement;
  measurement.make_optimizer = [] { return test::make_core_optimizer("adamw"); };
  measurement.seconds_each = 0;
  return measurement;
}

LayerCosts measured() {
  MemoryMeter::install();
  Batch batch;
  batch.fields.set("x", at::ones({kRows, kWidth}));
  batch.num_samples = kRows;
  const auto alone = make_single_communicator();
  return measure_layers(tanh_model(), batch, *alone, quick_measurement());
}

TEST(LayerCosts, CountWhatIsKeptUntilBackward) {
  const LayerCosts costs = measured();
  ASSERT_EQ(costs.layers.size(), 4);
  EXPECT_EQ(costs.batch_bytes, kBytes);
  const auto expect_bytes = [](int64_t bytes, double times) {
    EXPECT_NEAR(static_cast<double>(bytes), times * kBytes, times * kBytes * kRounding);
  };
  expect_bytes(costs.layers[0].kept_bytes, 1);  // the product goes: tanh keeps its result only
  expect_bytes(costs.layers[1].kept_bytes, 2);
  expect_bytes(costs.layers[3].kept_bytes, 4);
  // The product and its tanh at once.
  expect_bytes(costs.layers[0].forward_peak_bytes, 2);
  for (const LayerCost& cost : costs.layers) {
    EXPECT_EQ(cost.output_bytes.at("hidden"), kBytes);
    EXPECT_GE(cost.forward_peak_bytes, cost.kept_bytes);
  }
}

TEST(LayerCosts, TakeTheTimeOfLayersThatLookAlikeOnce) {
  std::vector<size_t> seen;
  CostMeasurement measurement = quick_measurement();
  measurement.progress = [&](size_t layer, size_t num_layers) {
    EXPECT_EQ(num_layers, 4);
    seen.push_back(layer);
  };
  Batch batch;
  batch.fields.set("x", at::ones({4, kWidth}));
  batch.num_samples = 4;
  const auto alone = make_single_communicator();
  const LayerCosts costs = measure_layers(tanh_model(), batch, *alone, measurement);
  EXPECT_THAT(seen, ElementsAre(0, 1, 3));
  EXPECT_EQ(costs.layers[2].layer, "block.1");
  EXPECT_EQ(costs.layers[2].forward, costs.layers[1].forward);
  EXPECT_GE(costs.layers[1].forward, 0.003);  // it sleeps so long
  for (const LayerCost& cost : costs.layers) {
    EXPECT_GT(cost.forward, 0);
    EXPECT_GT(cost.backward, 0);
  }
}

TEST(LayerCosts, AreMeasuredForAnyModel) {
  const test::EncoderDecoder model;
  std::vector<Sample> samples;
  for (int64_t i = 0; i < 3; ++i) samples.push_back(test::encoder_decoder_sample(i));
  Batch batch = model.collate(samples, {});
  batch.num_samples = 3;
  const auto alone = make_single_communicator();
  for (const Recompute recompute : {Recompute::kNone, Recompute::kFull}) {
    CostMeasurement measurement = quick_measurement();
    measurement.recompute = recompute;
    const LayerCosts costs = measure_layers(model, batch, *alone, measurement);
    ASSERT_EQ(costs.layers.size(), model.layers().size());
    for (const LayerCost& cost : costs.layers) EXPECT_GT(cost.forward, 0) << cost.layer;
  }
}

/// Four layers of 1 s forward, 2 s backward; 100 bytes kept, 10 passed on.
PlanQuestion question_of(const std::string& schedule, int pp, int num_microbatches) {
  PlanQuestion question;
  question.layers = tanh_model().layers();
  question.declarations = declarations_of(question.layers);
  for (const LayerSpec& spec : question.layers) {
    LayerCost cost;
    cost.layer = spec.name;
    cost.forward = 1;
    cost.backward = 2;
    cost.backward_input = 1.5;
    cost.backward_weight = 1.5;
    cost.update = 0.5;
    cost.kept_bytes = 100;
    cost.forward_peak_bytes = 130;
    cost.backward_peak_bytes = 50;
    cost.output_bytes["hidden"] = 10;
    question.costs.layers.push_back(cost);
  }
  question.costs.batch_bytes = 7;
  question.costs.transfer_bytes_per_second = 1e12;
  question.schedule = make_schedule(schedule, {pp, num_microbatches, 1});
  for (int i = 0; i <= pp; ++i) question.bounds.push_back(static_cast<size_t>(4 * i / pp));
  question.zero = 0;
  question.num_states = 2;
  return question;
}

TEST(Plan, OfOneRankIsASum) {
  const Plan plan = make_plan(question_of("1f1b", 1, 3));
  EXPECT_DOUBLE_EQ(plan.simulation.seconds, 3 * 4 * 3);
  EXPECT_DOUBLE_EQ(plan.step_seconds(), 36 + 4 * 0.5);
  ASSERT_EQ(plan.ranks.size(), 1);
  EXPECT_EQ(plan.ranks[0].state.values_bytes, 4 * kWidth * 4);
  EXPECT_EQ(plan.ranks[0].state.gradients_bytes, 4 * kWidth * 4);
  EXPECT_EQ(plan.ranks[0].state.optimizer_bytes, 2 * 4 * kWidth * 4);
  EXPECT_EQ(plan.ranks[0].state.fixed_bytes, 4 * 1000 * 10 * 4);
  EXPECT_EQ(plan.ranks[0].activation_bytes,
            4 * 100 + 50);  // backward of the last layer is the worst
  EXPECT_EQ(plan.ranks[0].batch_bytes, 7 * 3 * 3);
  EXPECT_EQ(plan.stages[0].num_parameters, 4 * (kWidth + 1000 * 10));
}

TEST(Plan, CountsTheCopyThatIsWrittenInTheBackground) {
  PlanQuestion question = question_of("1f1b", 1, 3);
  question.dp = 2;
  question.zero = 1;
  EXPECT_EQ(make_plan(question).ranks[0].state.snapshot_bytes, 0);
  const int64_t without = make_plan(question).most_bytes();
  question.keeps_snapshot = true;
  const Plan plan = make_plan(question);
  // Of the rank that writes most: values and frozen ones, and its half of two states.
  EXPECT_EQ(plan.ranks[0].state.snapshot_bytes, 2 * 4 * kWidth * 4 + 4 * 1000 * 10 * 4);
  EXPECT_EQ(plan.most_bytes(), without + plan.ranks[0].state.snapshot_bytes);
}

TEST(Plan, OfAPipelineIsItsSchedule) {
  const Plan plan = make_plan(question_of("1f1b", 2, 4));
  // Each stage 2 s forward and 4 s backward, with (p - 1) / (m + p - 1) of it idle.
  EXPECT_NEAR(plan.simulation.seconds, (4 + 1) * 6, 1e-6);
  EXPECT_NEAR(plan.simulation.bubble(), 1.0 / 5, 1e-6);
  EXPECT_DOUBLE_EQ(plan.update_seconds, 1);
  // The first rank holds two microbatches, the second one, with the activation that it was sent.
  EXPECT_EQ(plan.stages[0].kept_bytes, 200);
  EXPECT_EQ(plan.stages[1].kept_bytes, 210);
  EXPECT_EQ(plan.ranks[0].activation_bytes, 2 * 200 + 50);
  EXPECT_EQ(plan.ranks[1].activation_bytes, 210 + 50);
}

TEST(Plan, TakesTheTimesOfTheTwoPartsWhereBackwardHasTwo) {
  const Plan whole = make_plan(question_of("1f1b", 1, 1));
  const Plan parts = make_plan(question_of("zb_h1", 1, 1));
  EXPECT_DOUBLE_EQ(whole.simulation.seconds, 4 * (1 + 2));
  EXPECT_DOUBLE_EQ(parts.simulation.seconds, 4 * (1 + 1.5 + 1.5));
}

TEST(Plan, SharesTheOptimizerWithSharding) {
  PlanQuestion question = question_of("1f1b", 1, 2);
  question.dp = 4;
  question.zero = 1;
  const Plan plan = make_plan(question);
  EXPECT_EQ(plan.ranks[0].state.optimizer_bytes, 2 * kWidth * 4);
  EXPECT_DOUBLE_EQ(plan.update_seconds, 0.5);
}

TEST(PlannedBounds, FollowTheTimeOfLayers) {
  PlanQuestion question = question_of("1f1b", 2, 4);
  EXPECT_THAT(planned_bounds(question, 0), ElementsAre(0, 2, 4));
  question.costs.layers[3].backward = 6;
  EXPECT_THAT(planned_bounds(question, 0), ElementsAre(0, 3, 4));
}

}  // namespace
}  // namespace triga
