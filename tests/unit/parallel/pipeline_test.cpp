#include <ATen/TensorOperators.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "parallel/pipeline/flow.h"
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

/// "0>2: a b; ..." of the edges to readers, after checking that they agree with those from sources.
std::string text_of(const std::vector<StageFlow>& flow) {
  std::string text, back;
  for (size_t stage = 0; stage < flow.size(); ++stage)
    for (const StageFlow::Edge& edge : flow[stage].readers) {
      text += std::to_string(stage) + ">" + std::to_string(edge.stage) + ":";
      for (const std::string& name : edge.names) text += " " + name;
      text += "; ";
      const auto& sources = flow[static_cast<size_t>(edge.stage)].sources;
      const auto same = std::find_if(sources.begin(), sources.end(), [&](const auto& source) {
        return source.stage == static_cast<int>(stage);
      });
      EXPECT_TRUE(same != sources.end() && same->names == edge.names) << text;
    }
  return text;
}

TEST(Flow, TakesASkipStraightToItsReader) {
  const std::vector<LayerSpec> layers = {
      layer("a", {}, {"hidden", "skip"}), layer("b", {"hidden"}, {"hidden"}),
      layer("c", {"hidden", "skip"}, {"hidden"}), layer("d", {"hidden"}, {"logits"})};
  EXPECT_EQ(text_of(flow_between(layers, {0, 4})), "");
  EXPECT_EQ(text_of(flow_between(layers, {0, 1, 2, 3, 4})),
            "0>1: hidden; 0>2: skip; 1>2: hidden; 2>3: hidden; ");
  EXPECT_EQ(text_of(flow_between(layers, {0, 2, 4})), "0>1: hidden skip; ");
  EXPECT_EQ(flow_between(layers, {0, 2, 4})[1].outputs, Names{"logits"});
}

TEST(Flow, LeavesOutWhatIsWrittenAnewBeforeItIsRead) {
  const std::vector<LayerSpec> layers = {layer("a", {}, {"x", "mask"}), layer("b", {"mask"}, {"x"}),
                                         layer("c", {"x"}, {"y"})};
  EXPECT_EQ(text_of(flow_between(layers, {0, 1, 2, 3})), "0>1: mask; 1>2: x; ");
}

TEST(Flow, GivesOneOutputToSeveralReaders) {
  const std::vector<LayerSpec> layers = {layer("a", {}, {"memory"}), layer("b", {"memory"}, {"x"}),
                                         layer("c", {"x", "memory"}, {"y"})};
  const auto flow = flow_between(layers, {0, 1, 2, 3});
  EXPECT_EQ(text_of(flow), "0>1: memory; 0>2: memory; 1>2: x; ");
  EXPECT_EQ(flow[0].outputs, Names{"memory"});
  EXPECT_EQ(flow[2].inputs, (Names{"x", "memory"}));
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
  EXPECT_EQ(header.numel(), wire_header_size(names.size()));
  const Activations received = wire_unpack(wire_pack(sent, names, header), names, header);
  for (const auto& [name, tensor] : sent) {
    ASSERT_EQ(received[name].defined(), tensor.defined()) << name;
    if (!tensor.defined()) continue;
    EXPECT_EQ(received[name].scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(received[name].equal(tensor)) << name;
  }
}

TEST(Wire, HasRoomForAsManyTensorsAsPass) {
  Activations many;
  Names names;
  for (int i = 0; i < 300; ++i) {
    names.push_back("t" + std::to_string(i));
    many.set(names.back(), at::full({i % 3}, i, at::kFloat));
  }
  const at::Tensor header = wire_header(many, names);
  const Activations received = wire_unpack(wire_pack(many, names, header), names, header);
  for (const std::string& name : names) EXPECT_TRUE(received[name].equal(many[name])) << name;
}

TEST(Wire, RefusesWhatAHeaderCannotHold) {
  const std::vector<int64_t> sizes(kMaxWireDimensions + 1, 1);
  EXPECT_THROW(wire_header({{"x", at::ones(sizes, at::kFloat)}}, {"x"}), Error);
}

}  // namespace
}  // namespace triga
