// A step on several ranks (threads) against the same step on one, for a small model that uses
// everything of the interface.
#include "parallel/strategy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/tanh.h>
#include <gtest/gtest.h>

#include <atomic>

#include "base/memory_meter.h"
#include "comm/local_communicator.h"
#include "tests/support/core_optimizer.h"
#include "tests/support/local_ranks.h"
#include "triga/ops.h"

namespace triga {
namespace {

constexpr int64_t kWidth = 6;

class Linear : public Layer {
 public:
  Linear(const std::string& name, bool has_unused) {
    weight_ = parameter(name + ".weight", {kWidth, kWidth}, Init::uniform(0.5));
    bias_ = parameter(name + ".bias", {kWidth}, Init::zeros());
    if (has_unused) parameter(name + ".unused", {3}, Init::ones());
    mean_ = buffer(name + ".mean", {kWidth}, Init::zeros());
  }
  Activations forward(const Activations& inputs, LayerContext& context) override {
    const at::Tensor* hidden = inputs.find("hidden");
    const at::Tensor x = hidden ? *hidden : context.batch()["x"];
    const at::Tensor y = dropout(at::tanh(at::linear(x, weight_, bias_)), 0.2, context, "dropout");
    context.add_statistic("mean", y.sum(0, false, at::kFloat), static_cast<double>(y.size(0)));
    context.add_loss("size", y.to(at::kFloat).pow(2).sum(), 0.1);
    return {{"hidden", y + mean_->to(y.scalar_type())}};
  }
  void apply_statistics(const std::vector<StepStatistic>& totals) override {
    at::Tensor mean = mean_;
    mean.copy_(mean * 0.9 + totals.at(0).sum / totals.at(0).count * 0.1);
  }

 private:
  Parameter weight_, bias_, mean_;
};

class SquaredError : public Loss {
 public:
  std::vector<std::string> auxiliary_names() const override { return {"size"}; }
  double count(const Batch& batch, std::string_view name) const override {
    return static_cast<double>(batch["x"].size(0)) * (name == "size" ? 2.0 : 1.0);
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::mse_loss(outputs["hidden"].to(at::kFloat), batch["y"], /*reduction: sum*/ 2);
  }
};

class MeanOutput : public Metric {
 public:
  std::string name() const override { return "first_output"; }
  void reset() override { values_.clear(); }
  void update(const Batch&, const Activations& outputs) override {
    const at::Tensor column = outputs["hidden"].select(1, 0);
    for (int64_t i = 0; i < column.size(0); ++i) values_.push_back(column[i].item<double>());
  }
  at::Tensor state() const override {
    at::Tensor state = at::empty({static_cast<int64_t>(values_.size())}, at::kDouble);
    std::copy(values_.begin(), values_.end(), state.mutable_data_ptr<double>());
    return state;
  }
  void merge(const at::Tensor& state) override {
    const double* data = state.const_data_ptr<double>();
    values_.insert(values_.end(), data, data + state.numel());
  }
  double result() const override {  // depends on the order of the samples
    double result = 0;
    for (double value : values_) result = 0.9 * result + value;
    return result;
  }

 private:
  std::vector<double> values_;
};

class Mlp : public Architecture {
 public:
  std::vector<LayerSpec> layers() const override {
    std::vector<LayerSpec> layers;
    for (int i = 0; i < 4; ++i) {
      const std::string name =
          "layer" + std::to_string(i == 3 ? 1 : i);  // the last shares layer 1's parameters
      LayerSpec spec;
      spec.name = "layer" + std::to_string(i);
      spec.build = [name, i] { return std::make_unique<Linear>(name, i == 1 || i == 3); };
      if (i > 0) spec.reads = {"hidden"};
      spec.writes = {"hidden"};
      layers.push_back(std::move(spec));
    }
    return layers;
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<SquaredError>(); }
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  std::vector<std::unique_ptr<Metric>> metrics() const override {
    std::vector<std::unique_ptr<Metric>> metrics;
    metrics.push_back(std::make_unique<MeanOutput>());
    return metrics;
  }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}
};

Batch make_batch(int64_t step, int64_t microbatch, int64_t num_samples) {
  Batch batch;
  batch.microbatch = microbatch;
  batch.num_samples = num_samples;
  at::Tensor x = at::empty({num_samples, kWidth}, at::kFloat),
             y = at::empty({num_samples, kWidth}, at::kFloat);
  const RandomKey key =
      RandomKey(9).with(static_cast<uint64_t>(step)).with(static_cast<uint64_t>(microbatch));
  fill_normal(x, key.with("x"), 0, 1);
  fill_normal(y, key.with("y"), 0, 1);
  batch.fields = {{"x", x}, {"y", y}};
  return batch;
}

std::unique_ptr<Optimizer> make_sgd() {
  return test::make_core_optimizer("sgd");
}

/// Steps of equal length in every matrix: wrong when it sees only a part of one.
class WholeMatrices final : public Optimizer {
 public:
  std::vector<std::string> state_names() const override { return {"num_seen"}; }
  bool needs_whole_parameters() const override { return true; }
  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t,
              double gradient_scale) override {
    for (OptimizerSlice& slice : slices) {
      slice.parameter.sub_(slice.gradient * (gradient_scale * learning_rate) /
                           (slice.gradient.norm() * gradient_scale + 1e-6));
      slice.states[0].add_(1);
    }
  }
};

struct Trace {
  std::vector<double> losses, sizes, norms;
  at::Tensor values, mean;
  double evaluation = 0, metric = 0;
};

struct Settings {
  int zero = 0;
  Recompute recompute = Recompute::kNone;
  at::ScalarType compute_type = at::kFloat;
  std::string optimizer = "sgd";  // or whole_matrices
  int64_t bucket_bytes = 64;      // several buckets
};

/// Ten steps of five microbatches of unequal size, shared over the ranks of `data`.
Trace train(Communicator& data, const Settings& settings) {
  Strategy::Options options;
  options.seed = 4;
  options.bucket_bytes = settings.bucket_bytes;
  options.zero = settings.zero;
  options.recompute = settings.recompute;
  options.compute_type = settings.compute_type;
  Mlp architecture;
  Strategy strategy(architecture, data, options,
                    settings.optimizer == "whole_matrices"
                        ? std::make_unique<WholeMatrices>()
                        : test::make_core_optimizer(settings.optimizer));
  strategy.parameters().initialize(4);
  const auto share = [&](int64_t step) {
    std::vector<Batch> mine;
    const int64_t num = 5, size = data.size(), rank = data.rank();
    for (int64_t i = num * rank / size; i < num * (rank + 1) / size; ++i) {
      mine.push_back(make_batch(step, i, 2 + i % 3));
      Batch& batch = mine.back();
      batch.fields.set("x", batch["x"].to(settings.compute_type));
    }
    mine.resize(static_cast<size_t>((num + size - 1) / size + 1));  // empty ones, as loaders give
    return mine;
  };
  Trace trace;
  for (int64_t step = 0; step < 10; ++step) {
    double votes[] = {1.0};
    const StepLoss loss = strategy.forward_backward(share(step), step, votes);
    EXPECT_EQ(votes[0], data.size());
    trace.losses.push_back(loss.mean());
    trace.sizes.push_back(loss.totals.at("size").mean());
    trace.norms.push_back(strategy.clip_gradients(1.0));
    strategy.update(0.1);
  }
  std::vector<Batch> batches = share(100);
  size_t next = 0;
  const EvaluationResult evaluated = strategy.evaluate([&]() -> std::optional<Batch> {
    if (next == batches.size()) return std::nullopt;
    return batches[next++];
  });
  trace.evaluation = evaluated.loss.mean();
  trace.metric = evaluated.metrics.at("first_output");
  trace.values = strategy.parameters().find("layer1.weight")->value.detach().clone();
  trace.mean = strategy.parameters().find("layer2.mean")->value.clone();
  return trace;
}

Trace train_on_one(const Settings& settings = {}) {
  const auto single = make_single_communicator();
  return train(*single, settings);
}

std::vector<Trace> train_on(int num_ranks, const Settings& settings) {
  std::vector<Trace> traces(static_cast<size_t>(num_ranks));
  testing::run_ranks(num_ranks, [&](Communicator& world) {
    traces[static_cast<size_t>(world.rank())] = train(world, settings);
  });
  return traces;
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << "step " << i;
}

// Sums of at most 16 samples in another order: a few ulps of fp32.
void expect_same_run(const std::vector<Trace>& traces, const Trace& expected) {
  for (const Trace& trace : traces) {
    expect_near(trace.losses, expected.losses, 2e-6);
    expect_near(trace.sizes, expected.sizes, 2e-6);
    expect_near(trace.norms, expected.norms, 5e-6);
    EXPECT_NEAR(trace.evaluation, expected.evaluation, 2e-6);
    EXPECT_NEAR(trace.metric, expected.metric, 1e-5);
    EXPECT_TRUE(trace.values.allclose(expected.values, 1e-5, 1e-6));
    EXPECT_TRUE(trace.mean.allclose(expected.mean, 1e-5, 1e-6));
    EXPECT_TRUE(trace.values.equal(traces[0].values)) << "ranks differ in the bit";
  }
}

void expect_same_bits(const Trace& a, const Trace& b) {
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.sizes, b.sizes);
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_EQ(a.evaluation, b.evaluation);
  EXPECT_TRUE(a.values.equal(b.values));
  EXPECT_TRUE(a.mean.equal(b.mean));
}

class StrategyOnRanks : public ::testing::TestWithParam<std::tuple<int, int, const char*>> {};

TEST_P(StrategyOnRanks, GivesTheStepsOfOneProcess) {
  const auto& [num_ranks, zero, optimizer] = GetParam();
  Settings settings;
  settings.optimizer = optimizer;
  const Trace expected = train_on_one(settings);
  settings.zero = zero;
  expect_same_run(train_on(num_ranks, settings), expected);
}

INSTANTIATE_TEST_SUITE_P(Ranks, StrategyOnRanks,
                         ::testing::Combine(::testing::Values(1, 2, 3, 4),
                                            ::testing::Values(0, 1, 2),
                                            ::testing::Values("sgd", "adamw", "whole_matrices")),
                         [](const auto& info) {
                           return c10::str("On", std::get<0>(info.param), "Zero",
                                           std::get<1>(info.param), std::get<2>(info.param));
                         });

TEST(Sharding, OfTheOptimizerGivesTheBitsOfNone) {
  for (const int num_ranks : {1, 2, 3}) {
    Settings settings;
    settings.optimizer = "adamw";
    const auto whole = train_on(num_ranks, settings);
    settings.zero = 1;
    expect_same_bits(train_on(num_ranks, settings)[0], whole[0]);
  }
}

TEST(BucketSize, ChangesNoBit) {
  Settings settings;
  settings.zero = 1;
  const auto small = train_on(3, settings);
  settings.bucket_bytes = 1 << 20;
  expect_same_bits(train_on(3, settings)[0], small[0]);
}

// Of a model with so large matrices that padding and single numbers do not show.
class Wide : public Architecture {
 public:
  std::vector<LayerSpec> layers() const override {
    class Matrices : public Layer {
     public:
      Matrices() {
        for (int i = 0; i < 6; ++i) parameter("w" + std::to_string(i), {200, 100}, Init::zeros());
      }
      Activations forward(const Activations&, LayerContext&) override { return {}; }
    };
    return {{.name = "wide", .build = [] { return std::make_unique<Matrices>(); }}};
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<SquaredError>(); }
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}
};

TEST(Memory, IsWhatTheFormulaSays) {
  MemoryMeter::install();
  for (const int num_ranks : {1, 2, 4})
    for (const int zero : {0, 1, 2})
      for (const auto type : {at::kFloat, at::kBFloat16}) {
        Strategy::Options options;
        options.zero = zero;
        options.compute_type = type;
        options.bucket_bytes = 100'000;
        std::atomic<int64_t> planned{0};
        int64_t before = 0, after = 0;  // of all ranks, which are threads of this process
        testing::run_ranks(num_ranks, [&](Communicator& world) {
          world.barrier("before");
          if (world.rank() == 0) before = MemoryMeter::use().now_bytes;
          world.barrier("measured");
          const Wide wide;
          const Strategy strategy(wide, world, options, test::make_core_optimizer("adamw"));
          planned += strategy.memory_plan().total_bytes();
          world.barrier("made");
          if (world.rank() == 0) after = MemoryMeter::use().now_bytes;
          world.barrier("measured again");
        });
        EXPECT_NEAR(static_cast<double>(after - before) / static_cast<double>(planned), 1, 0.02)
            << num_ranks << " ranks, zero " << zero << ", " << toString(type);
        const double p = 120'000, n = num_ranks, values = type == at::kFloat ? 4 : 2;
        const double masters = type == at::kFloat ? 0 : 4;
        if (zero < 2)
          EXPECT_NEAR(static_cast<double>(planned) / n,
                      p * (values + 4 + (masters + 8) / (zero == 0 ? 1 : n)), 0.02 * p * 16);
      }
}

/// What a rank would write into a checkpoint, by name.
std::map<std::string, at::Tensor> collected(Strategy& strategy, HostBuffers* buffers) {
  std::map<std::string, at::Tensor> tensors;
  for (const auto& tensor : strategy.collect_weights(buffers))
    tensors["weights " + tensor.name] = buffers ? tensor.value : tensor.value.clone();
  for (const auto& tensor : strategy.collect_optimizer_state(buffers))
    tensors["optimizer " + tensor.name] = buffers ? tensor.value : tensor.value.clone();
  return tensors;
}

void expect_equal(const std::map<std::string, at::Tensor>& a,
                  const std::map<std::string, at::Tensor>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, tensor] : a) EXPECT_TRUE(tensor.equal(b.at(name))) << name;
}

TEST(Snapshot, InBuffersStaysWhatItWasWhileTrainingGoesOn) {
  for (const int num_ranks : {1, 3})
    for (const int zero : {0, 1, 2})
      for (const auto type : {at::kFloat, at::kBFloat16})
        testing::run_ranks(num_ranks, [&](Communicator& world) {
          Strategy::Options options;
          options.bucket_bytes = 64;
          options.zero = zero;
          options.compute_type = type;
          Mlp architecture;
          Strategy strategy(architecture, world, options, test::make_core_optimizer("adamw"));
          strategy.parameters().initialize(4);
          const auto train_step = [&](int64_t step) {
            std::vector<Batch> batches = {make_batch(step, world.rank(), 3)};
            batches[0].fields.set("x", batches[0]["x"].to(type));
            strategy.forward_backward(batches, step);
            strategy.clip_gradients(1);
            strategy.update(0.1);
          };
          HostBuffers buffers;
          for (int64_t step = 0; step < 3; step += 2) {
            train_step(step);
            const auto expected = collected(strategy, nullptr);
            const auto kept = collected(strategy, &buffers);
            train_step(step + 1);
            expect_equal(kept, expected);
          }
          const int64_t bytes = buffers.num_bytes();
          collected(strategy, &buffers);
          EXPECT_EQ(buffers.num_bytes(), bytes) << "memory is taken once";
        });
}

TEST(Recomputation, GivesTheBitsOfNone) {
  for (const int zero : {0, 2})
    for (const int num_ranks : {1, 3}) {
      Settings settings;
      settings.zero = zero;
      const auto kept = train_on(num_ranks, settings);
      settings.recompute = Recompute::kFull;
      expect_same_bits(train_on(num_ranks, settings)[0], kept[0]);
    }
}

TEST(Bf16, StaysNearFp32AndKeepsItsMasters) {
  Settings settings;
  settings.optimizer = "adamw";
  const Trace expected = train_on_one(settings);
  settings.compute_type = at::kBFloat16;
  const Trace one = train_on_one(settings);
  // 8 bits of mantissa: up to 0.4 % an operation, through four layers, then squared.
  expect_near(one.losses, expected.losses, 0.05);
  EXPECT_NE(one.losses, expected.losses);
  for (const int zero : {0, 1, 2}) {
    settings.zero = zero;
    const auto two = train_on(2, settings);
    expect_near(two[0].losses, one.losses, 0.01);
    EXPECT_TRUE(two[0].values.equal(two[1].values)) << "ranks differ in the bit";
  }
}

TEST(Strategy, DividesTheGradientByTheGlobalCount) {
  // Against autograd on the mean loss written out, for one step without dropout's help: evaluate
  // mode is not differentiable, so compare the numeric derivative of the reported objective with
  // the gradient.
  const auto single = make_single_communicator();
  Mlp architecture;
  Strategy::Options options;
  options.seed = 4;
  Strategy strategy(architecture, *single, options, make_sgd());
  strategy.parameters().initialize(4);
  const std::vector<Batch> batches = {make_batch(0, 0, 3), make_batch(0, 1, 2)};
  const auto objective = [&] {
    const StepLoss loss = strategy.forward_backward(batches, 0);
    strategy.skip();
    return loss.mean() + 0.1 * loss.totals.at("size").mean();
  };
  objective();
  const StoredParameter& bias = *strategy.parameters().find("layer0.bias");
  const at::Tensor gradient = bias.gradient.clone();
  for (int64_t i = 0; i < kWidth; ++i) {
    const float epsilon = 1e-2f;
    at::Tensor value = bias.value.detach();
    const float original = value[i].item<float>();
    value[i] = original + epsilon;
    const double above = objective();
    value[i] = original - epsilon;
    const double below = objective();
    value[i] = original;
    EXPECT_NEAR(gradient[i].item<double>(), (above - below) / (2 * epsilon), 2e-3) << i;
  }
}

TEST(Strategy, AParameterWithoutGradientCountsAsZero) {
  const auto single = make_single_communicator();
  Mlp architecture;
  Strategy strategy(architecture, *single, {}, make_sgd());
  strategy.parameters().initialize(4);
  strategy.forward_backward({make_batch(0, 0, 3)}, 0);
  EXPECT_TRUE(strategy.parameters().find("layer1.unused")->gradient.eq(0).all().item<bool>());
  strategy.clip_gradients(0);
  strategy.update(0.1);
  EXPECT_TRUE(strategy.parameters().find("layer1.unused")->value.eq(1).all().item<bool>());
}

TEST(Strategy, AnEmptyStepHasCountZeroAndNoGradient) {
  const auto single = make_single_communicator();
  Mlp architecture;
  Strategy strategy(architecture, *single, {}, make_sgd());
  strategy.parameters().initialize(4);
  const StepLoss loss = strategy.forward_backward({Batch{}}, 0);
  EXPECT_EQ(loss.count(), 0);
  EXPECT_EQ(strategy.clip_gradients(1), 0);
}

}  // namespace
}  // namespace triga
