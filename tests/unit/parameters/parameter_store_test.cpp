#include "parameters/parameter_store.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

class TestLayer : public Layer {
 public:
  explicit TestLayer(const std::function<void(TestLayer&)>& declare) { declare(*this); }
  Activations forward(const Activations& inputs, LayerContext&) override { return inputs; }
  using Layer::buffer;
  using Layer::parameter;
};

struct Model {
  std::vector<LayerSpec> specs;
  std::vector<std::unique_ptr<TestLayer>> layers;

  void add(const std::string& name, const std::function<void(TestLayer&)>& declare,
           bool frozen = false) {
    LayerSpec spec;
    spec.name = name;
    spec.frozen = frozen;
    specs.push_back(spec);
    layers.push_back(std::make_unique<TestLayer>(declare));
  }
  ParameterStore store(const StoreOptions& options = {}) const {
    std::vector<ParameterStore::OwnedLayer> owned;
    for (size_t i = 0; i < specs.size(); ++i) owned.push_back({&specs[i], layers[i].get()});
    return ParameterStore(owned, options,
                          [](int64_t n, at::ScalarType type) { return at::zeros({n}, type); });
  }
};

Model tied_model() {
  Model model;
  model.add("embedding", [](TestLayer& layer) {
    layer.parameter("wte", {7, 3}, Init::normal(0.5));
  });
  model.add("block", [](TestLayer& layer) {
    layer.parameter("block.weight", {3, 5}, Init::uniform(0.1));
    layer.parameter("block.bias", {5}, Init::zeros());
    layer.buffer("block.mean", {5}, Init::ones());
  });
  model.add("head", [](TestLayer& layer) { layer.parameter("wte", {7, 3}, Init::normal(0.5)); });
  return model;
}

TEST(ParameterStore, StoresATiedParameterOnceAndBindsItEverywhere) {
  const Model model = tied_model();
  const ParameterStore store = model.store();
  EXPECT_EQ(store.parameters().size(), 4u);
  EXPECT_EQ(store.num_trainable(), 21 + 15 + 5);
  const at::Tensor& in_embedding = model.layers[0]->parameters()[0].tensor();
  const at::Tensor& in_head = model.layers[2]->parameters()[0].tensor();
  EXPECT_TRUE(in_embedding.is_same(in_head));
}

TEST(ParameterStore, LaysTrainableParametersOutInBackwardOrder) {
  const ParameterStore store = tied_model().store();
  EXPECT_LT(store.find("block.weight")->offset, store.find("wte")->offset);
  EXPECT_LT(store.find("block.bias")->offset, store.find("wte")->offset);
  EXPECT_EQ(store.find("block.mean")->offset, -1);
  for (const auto& parameter : store.parameters())
    if (parameter.is_trainable) EXPECT_EQ(parameter.offset % 16, 0);
}

TEST(ParameterStore, ValuesAndGradientsAreViewsOfTheFlatBuffers) {
  const ParameterStore store = tied_model().store();
  store.flat_values().fill_(2);
  store.flat_gradients().fill_(3);
  const StoredParameter& bias = *store.find("block.bias");
  EXPECT_TRUE(bias.value.eq(2).all().item<bool>());
  EXPECT_TRUE(bias.gradient.eq(3).all().item<bool>());
  EXPECT_TRUE(bias.value.requires_grad() && bias.value.is_leaf());
}

TEST(ParameterStore, BackwardAccumulatesIntoTheFlatBuffer) {
  const Model model = tied_model();
  ParameterStore store = model.store();
  store.initialize(1);
  const at::Tensor& weight = model.layers[1]->parameters()[0].tensor();
  (weight * 2).sum().backward();
  (weight * 3).sum().backward();
  const StoredParameter& stored = *store.find("block.weight");
  EXPECT_TRUE(
      store.flat_gradients().narrow(0, stored.offset, stored.numel).eq(5).all().item<bool>());
  store.zero_gradients();
  EXPECT_TRUE(weight.grad().eq(0).all().item<bool>());
}

TEST(ParameterStore, InitialValuesDependOnSeedAndNameOnly) {
  const Model model = tied_model();
  ParameterStore whole = model.store();
  whole.initialize(5);
  Model part;  // another stage: only the head
  part.add("head", [](TestLayer& layer) { layer.parameter("wte", {7, 3}, Init::normal(0.5)); });
  ParameterStore alone = part.store();
  alone.initialize(5);
  EXPECT_TRUE(whole.find("wte")->value.equal(alone.find("wte")->value));
  alone.initialize(6);
  EXPECT_FALSE(whole.find("wte")->value.equal(alone.find("wte")->value));
  EXPECT_TRUE(whole.find("block.mean")->value.eq(1).all().item<bool>());
}

TEST(ParameterStore, RowsOfAParameterMayHaveAnInitialValueOfTheirOwn) {
  const auto drawn = [](const Init& init) {
    Model model;
    model.add("gates", [&](TestLayer& layer) { layer.parameter("bias", {6, 2}, init); });
    ParameterStore store = model.store();
    store.initialize(5);
    return store.find("bias")->value.clone();
  };
  const at::Tensor plain = drawn(Init::uniform(0.5));
  const at::Tensor with_rows = drawn(Init::uniform(0.5).with_rows(2, 4, 3));
  EXPECT_TRUE(with_rows.narrow(0, 2, 2).eq(3).all().item<bool>());
  for (const int64_t first : {0, 4})  // the others are what they would have been
    EXPECT_TRUE(with_rows.narrow(0, first, 2).equal(plain.narrow(0, first, 2)));
}

TEST(ParameterStore, BucketsAreAlignedAndCoverTheBuffer) {
  StoreOptions options;
  options.bucket_bytes = 64;
  options.num_parts = 3;
  const ParameterStore store = tied_model().store(options);
  int64_t expected_begin = 0;
  for (const Bucket& bucket : store.buckets()) {
    EXPECT_EQ(bucket.range.begin, expected_begin);
    EXPECT_EQ(bucket.range.size() % 48, 0);
    for (size_t i : bucket.parameters) {
      EXPECT_GE(store.parameters()[i].offset, bucket.range.begin);
      EXPECT_LE(store.parameters()[i].offset + store.parameters()[i].numel, bucket.range.end);
    }
    expected_begin = bucket.range.end;
  }
  EXPECT_EQ(store.flat_values().numel(), expected_begin);
  EXPECT_GT(store.buckets().size(), 1u);
}

TEST(ParameterStore, BiasesDoNotDecayUnlessAGroupSaysSo) {
  const ParameterStore plain = tied_model().store();
  EXPECT_EQ(plain.find("block.bias")->group.weight_decay, 0.0);
  EXPECT_EQ(plain.find("block.weight")->group.weight_decay, std::nullopt);
  StoreOptions options;
  options.groups = {{"bias$", {1, 0.5}, false, false}, {"wte", {0.1, {}}, true, false}};
  const ParameterStore grouped = tied_model().store(options);
  EXPECT_EQ(grouped.find("block.bias")->group.weight_decay, 0.5);
  EXPECT_EQ(grouped.find("wte")->group.learning_rate_scale, 0.1);
  EXPECT_EQ(grouped.find("block.weight")->group.learning_rate_scale, 1);
}

TEST(ParameterStore, FrozenParametersHaveNoGradient) {
  Model model = tied_model();
  StoreOptions options;
  GroupRule rule;
  rule.match = "^wte";
  rule.frozen = true;
  options.groups = {rule};
  const ParameterStore by_group = model.store(options);
  EXPECT_FALSE(by_group.find("wte")->value.requires_grad());
  EXPECT_EQ(by_group.num_trainable(), 20);
  Model frozen_layer;
  frozen_layer.add(
      "vae", [](TestLayer& layer) { layer.parameter("vae.w", {2}, Init::ones()); },
      /*frozen=*/true);
  EXPECT_EQ(frozen_layer.store().num_trainable(), 0);
}

TEST(ParameterStore, KeepsFrozenValuesExactlyWhereLayersSeeThemRounded) {
  GroupRule rule;
  rule.match = "^wte";
  rule.frozen = true;
  StoreOptions options;
  options.groups = {rule};
  options.compute_type = at::kBFloat16;
  Model model = tied_model();
  ParameterStore store = model.store(options);
  const StoredParameter& frozen = *store.find("wte");
  at::Tensor value = at::empty(frozen.shape, at::kFloat);
  fill_normal(value, RandomKey(3), 0, 1);
  store.set(frozen, value);
  EXPECT_FALSE(frozen.value.to(at::kFloat).equal(value));
  EXPECT_TRUE(frozen.exact.equal(value));
}

TEST(ParameterStore, RefusesOneNameOfTwoShapes) {
  Model model = tied_model();
  model.add("bad", [](TestLayer& layer) { layer.parameter("wte", {3, 7}, Init::zeros()); });
  EXPECT_THROW(model.store(), Error);
}

TEST(ParameterStore, RunsCoverEveryTrainableElementOnceWithItsGroup) {
  const ParameterStore store = tied_model().store();
  std::vector<ParameterStore::Run> runs;
  for (const Bucket& bucket : store.buckets())
    for (const auto& run : store.runs(bucket.range)) runs.push_back(run);
  EXPECT_LE(runs.size(), 3u);
  for (const auto& parameter : store.parameters()) {
    if (!parameter.is_trainable) continue;
    int num_covering = 0;
    for (const auto& run : runs)
      if (run.range.begin <= parameter.offset &&
          parameter.offset + parameter.numel <= run.range.end) {
        ++num_covering;
        EXPECT_EQ(run.group, parameter.group);
      }
    EXPECT_EQ(num_covering, 1) << parameter.name;
  }
}

}  // namespace
}  // namespace triga
