// Parts of layers that may be recomputed: what they must not do is refused, and not done wrongly.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "comm/local_communicator.h"
#include "optim/optimizers.h"
#include "parallel/pipeline/recompute.h"
#include "parallel/strategy.h"
#include "tests/support/message_of.h"

namespace triga {
namespace {

constexpr int64_t kWidth = 4;

enum class Mistake { kNone, kSharedParameter, kStatistic, kLoss };

class Parted final : public Layer {
 public:
  explicit Parted(Mistake mistake) : mistake_(mistake) {
    for (const char* name : {"first", "second"})
      weights_.push_back(parameter(name, {kWidth, kWidth}, Init::uniform(0.5)));
  }
  Activations forward(const Activations&, LayerContext& context) override {
    std::vector<at::Tensor> hidden = {context.batch()["x"]};
    for (size_t i = 0; i < 2; ++i) {
      const auto part = [this, i](const std::vector<at::Tensor>& inputs, LayerContext& call) {
        if (mistake_ == Mistake::kStatistic) call.add_statistic("mean", inputs[0].sum(), 1);
        if (mistake_ == Mistake::kLoss) call.add_loss("size", inputs[0].sum(), 1);
        const Parameter& weight = weights_[mistake_ == Mistake::kSharedParameter ? 0 : i];
        return std::vector<at::Tensor>{at::linear(inputs[0], weight).tanh()};
      };
      hidden = context.recompute(part, hidden);
    }
    return {{"hidden", hidden[0]}};
  }

 private:
  const Mistake mistake_;
  std::vector<Parameter> weights_;
};

class SumOfOutputs final : public Loss {
 public:
  std::vector<std::string> auxiliary_names() const override { return {"size"}; }
  double count(const Batch&, std::string_view) const override { return 1; }
  at::Tensor sum(const Activations& outputs, const Batch&) const override {
    return outputs["hidden"].sum();
  }
};

class Model final : public Architecture {
 public:
  explicit Model(Mistake mistake) : mistake_(mistake) {}
  std::vector<LayerSpec> layers() const override {
    LayerSpec spec;
    spec.name = "parted";
    spec.build = [mistake = mistake_] { return std::make_unique<Parted>(mistake); };
    spec.writes = {"hidden"};
    return {spec};
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<SumOfOutputs>(); }
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}

 private:
  const Mistake mistake_;
};

/// Trains one step.
void train(Mistake mistake, Recompute recompute) {
  const auto world = make_single_communicator();
  Registry registry;
  register_core_optimizers(registry);
  const auto& sgd =
      *std::find_if(registry.optimizers.kinds().begin(), registry.optimizers.kinds().end(),
                    [](const auto& kind) { return kind.name == "sgd"; });
  const Model model(mistake);
  Strategy::Options options;
  options.recompute = recompute;
  Strategy strategy(model, *world, options, sgd.create(ConfigNode::make_mapping(), {}));
  strategy.parameters().initialize(1);
  Batch batch;
  batch.num_samples = 2;
  at::Tensor x = at::empty({2, kWidth}, at::kFloat);
  fill_normal(x, RandomKey(1), 0, 1);
  batch.fields = {{"x", x}};
  strategy.forward_backward({batch}, 0);
}

TEST(RecomputedParts, MayUseParametersOfTheirOwn) {
  for (const auto recompute : {Recompute::kNone, Recompute::kSelective, Recompute::kFull})
    train(Mistake::kNone, recompute);
}

TEST(RecomputedParts, NeedAGradientOnlyWhereSomethingInsideDoes) {
  const auto twice = [](const Tensors& inputs) { return Tensors{inputs[0] + inputs[0]}; };
  const at::Tensor x = at::ones({2}), needy = at::ones({2}).set_requires_grad(true);
  EXPECT_FALSE(recomputed(twice, {x}, /*has_trainable=*/false)[0].requires_grad());
  EXPECT_TRUE(recomputed(twice, {x}, /*has_trainable=*/true)[0].requires_grad());
  const at::Tensor result = recomputed(twice, {needy}, /*has_trainable=*/false)[0];
  ASSERT_TRUE(result.requires_grad());
  result.sum().backward();
  EXPECT_TRUE(needy.grad().equal(at::full({2}, 2)));
}

TEST(RecomputedParts, RecordGradientsInBothRunsForKernelsGoByThat) {
  int num_runs = 0, num_recorded = 0;
  const auto function = [&](const Tensors& inputs) {
    ++num_runs;
    num_recorded += c10::GradMode::is_enabled() && inputs[0].requires_grad() ? 1 : 0;
    return Tensors{inputs[0] * 2};
  };
  const at::Tensor x = at::ones({3}).set_requires_grad(true);
  const Tensors outputs = recomputed(function, {x}, false);
  EXPECT_EQ(num_runs, 1);
  outputs[0].sum().backward();
  EXPECT_EQ(num_runs, 2);
  EXPECT_EQ(num_recorded, 2);
  EXPECT_TRUE(x.grad().equal(at::full({3}, 2.0F)));
}

TEST(RecomputedParts, GiveTheGradientOfAnInputInTheLayoutThatItComesIn) {
  const auto strides_of_gradient = [](bool is_recomputed) {
    const auto turned = [](const Tensors& inputs) { return Tensors{inputs[0].t() * inputs[1]}; };
    std::vector<int64_t> strides;
    const at::Tensor x = at::ones({5, 3}).set_requires_grad(true);
    const at::Tensor between = x * 1;
    between.register_hook([&](const at::Tensor& gradient) { strides = gradient.strides().vec(); });
    const Tensors inputs = {between, at::ones({3, 5})};
    (is_recomputed ? recomputed(turned, inputs, false) : turned(inputs))[0].sum().backward();
    return strides;
  };
  EXPECT_EQ(strides_of_gradient(false), (std::vector<int64_t>{1, 5})) << "not that of the input";
  EXPECT_EQ(strides_of_gradient(true), strides_of_gradient(false));
}

TEST(RecomputedParts, AGraphThatIsKeptMayOutliveItsRun) {
  at::Tensor kept;
  const auto keeping = [&](const Tensors& inputs) {
    if (!kept.defined()) kept = inputs[0] * 2;
    return Tensors{inputs[0] * 3};
  };
  const at::Tensor x = at::ones({2}).set_requires_grad(true);
  recomputed(keeping, {x}, false)[0].sum().backward();
  kept.sum().backward();  // into a slot of its own
  EXPECT_TRUE(x.grad().equal(at::full({2}, 3.0F)));
}

TEST(RecomputedParts, MustNotShareAParameter) {
  train(Mistake::kSharedParameter, Recompute::kNone);
  EXPECT_THAT(
      test::message_of<Error>([] { train(Mistake::kSharedParameter, Recompute::kSelective); }),
      testing::HasSubstr("a second gradient of 'first'"));
}

TEST(RecomputedParts, MustNotAddStatisticsOrLossesWhetherRecomputedOrNot) {
  for (const auto recompute : {Recompute::kNone, Recompute::kSelective})
    for (const auto mistake : {Mistake::kStatistic, Mistake::kLoss})
      EXPECT_THAT(test::message_of<Error>([&] { train(mistake, recompute); }),
                  testing::HasSubstr("in a part that may be recomputed"));
}

}  // namespace
}  // namespace triga
