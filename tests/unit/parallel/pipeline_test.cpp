#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include "parallel/pipeline/partition.h"
#include "parallel/pipeline/wire.h"

namespace triga {
namespace {

LayerSpec layer(const std::string& name, std::vector<std::string> reads,
                std::vector<std::string> writes) {
  LayerSpec spec;
  spec.name = name;
  spec.reads = std::move(reads);
  spec.writes = std::move(writes);
  return spec;
}

using Names = std::vector<std::string>;

TEST(Boundary, CarriesASkipUntilItsLastReader) {
  const std::vector<LayerSpec> layers = {
      layer("a", {}, {"hidden", "skip"}), layer("b", {"hidden"}, {"hidden"}),
      layer("c", {"hidden", "skip"}, {"hidden"}), layer("d", {"hidden"}, {"logits"})};
  EXPECT_EQ(boundary(layers, 0), Names{});
  EXPECT_EQ(boundary(layers, 1), (Names{"hidden", "skip"}));
  EXPECT_EQ(boundary(layers, 2), (Names{"hidden", "skip"}));
  EXPECT_EQ(boundary(layers, 3), Names{"hidden"});
  EXPECT_EQ(boundary(layers, 4), Names{"logits"});
}

TEST(Boundary, DropsWhatIsWrittenAnewBeforeItIsRead) {
  const std::vector<LayerSpec> layers = {layer("a", {}, {"x", "mask"}), layer("b", {"mask"}, {"x"}),
                                         layer("c", {"x"}, {"y"})};
  EXPECT_EQ(boundary(layers, 1), Names{"mask"});
  EXPECT_EQ(boundary(layers, 2), Names{"x"});
}

TEST(CheckLayers, NamesTheLayerThatReadsWhatNobodyWrites) {
  try {
    check_layers({layer("a", {}, {"x"}), layer("b", {"memory"}, {"y"})});
    FAIL();
  } catch (const PluginError& error) {
    EXPECT_NE(std::string(error.what()).find("'b' reads 'memory'"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(check_layers({layer("a", {}, {"x"}), layer("a", {"x"}, {"y"})}), PluginError);
  EXPECT_THROW(check_layers({}), PluginError);
}

TEST(Wire, CarriesEveryTypeShapeAndAbsence) {
  const Activations sent = {{"fp32", at::arange(30, at::kFloat).view({2, 3, 5})},
                            {"int64", at::arange(7, at::kLong)},
                            {"bool", at::ones({3, 1}, at::kBool)},
                            {"bf16", at::arange(9, at::kBFloat16).view({3, 3}).t()},
                            {"empty", at::empty({0, 4}, at::kDouble)},
                            {"scalar", at::ones({}, at::kFloat)},
                            {"absent", at::Tensor()}};
  Names names;
  for (const auto& [name, tensor] : sent) names.push_back(name);
  const at::Tensor header = wire_header(sent, names);
  EXPECT_EQ(header.numel(), kWireHeaderSize);
  const Activations received = wire_unpack(wire_pack(sent, names, header), names, header);
  for (const auto& [name, tensor] : sent) {
    ASSERT_EQ(received[name].defined(), tensor.defined()) << name;
    if (!tensor.defined()) continue;
    EXPECT_EQ(received[name].scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(received[name].equal(tensor)) << name;
  }
}

TEST(Wire, RefusesWhatAHeaderCannotHold) {
  Activations many;
  Names names;
  for (int i = 0; i <= kMaxWireTensors; ++i) {
    names.push_back("t" + std::to_string(i));
    many.set(names.back(), at::ones({1}, at::kFloat));
  }
  EXPECT_THROW(wire_header(many, names), Error);
  const std::vector<int64_t> sizes(kMaxWireDimensions + 1, 1);
  EXPECT_THROW(wire_header({{"x", at::ones(sizes, at::kFloat)}}, {"x"}), Error);
}

}  // namespace
}  // namespace triga
