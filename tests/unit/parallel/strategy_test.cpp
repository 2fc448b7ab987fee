// A step on several ranks (threads) against the same step on one, for a small model that uses
// everything of the interface.
#include "parallel/strategy.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/mse_loss.h>
#include <ATen/ops/tanh.h>
#include <gtest/gtest.h>

#include <thread>

#include "comm/local_communicator.h"
#include "optim/optimizers.h"

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
    context.add_statistic("mean", y.sum(0), static_cast<double>(y.size(0)));
    context.add_loss("size", y.pow(2).sum(), 0.1);
    return {{"hidden", y + at::Tensor(mean_)}};
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
    return at::mse_loss(outputs["hidden"], batch["y"], /*reduction: sum*/ 2);
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
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& kind : registry.optimizers.kinds())
    if (kind.name == "sgd") return kind.create(ConfigNode::make_mapping(), {});
  throw Error("no sgd");
}

struct Trace {
  std::vector<double> losses, sizes, norms;
  at::Tensor values, mean;
  double evaluation = 0, metric = 0;
};

/// Ten steps of five microbatches of unequal size, shared over the ranks of `data`.
Trace train(Communicator& data, int64_t bucket_bytes) {
  Strategy::Options options;
  options.seed = 4;
  options.store.bucket_bytes = bucket_bytes;
  Mlp architecture;
  Strategy strategy(architecture, data, options, make_sgd());
  strategy.parameters().initialize(4);
  const auto share = [&](int64_t step) {
    std::vector<Batch> mine;
    const int64_t num = 5, size = data.size(), rank = data.rank();
    for (int64_t i = num * rank / size; i < num * (rank + 1) / size; ++i)
      mine.push_back(make_batch(step, i, 2 + i % 3));
    mine.emplace_back();  // an empty one, as loaders give to ranks that have fewer
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

Trace train_on_one() {
  const auto single = make_single_communicator();
  return train(*single, 1 << 20);
}

void expect_near(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i], b[i], tolerance * std::max(1.0, std::abs(b[i]))) << "step " << i;
}

class StrategyOnRanks : public testing::TestWithParam<int> {};

TEST_P(StrategyOnRanks, GivesTheStepsOfOneProcess) {
  const Trace expected = train_on_one();
  auto communicators = make_local_communicators(GetParam());
  std::vector<Trace> traces(communicators.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < communicators.size(); ++rank)
    threads.emplace_back([&, rank] { traces[rank] = train(*communicators[rank], 64); });
  for (std::thread& thread : threads) thread.join();
  for (const Trace& trace : traces) {
    // Sums of at most 16 samples in another order: a few ulps of fp32.
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

INSTANTIATE_TEST_SUITE_P(Ranks, StrategyOnRanks, testing::Values(1, 2, 3, 4));

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
