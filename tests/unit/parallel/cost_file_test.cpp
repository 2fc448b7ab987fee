#include "parallel/planning/cost_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/message_of.h"

namespace triga {
namespace {

using testing::HasSubstr;

std::vector<LayerSpec> layers_named(const std::vector<std::string>& names) {
  std::vector<LayerSpec> layers;
  for (const std::string& name : names) layers.push_back({name, nullptr});
  return layers;
}

const char* const kSetting = "microbatch_size 8, precision fp32";
const char* const kText =
    "# measured on a machine\n"
    "# measured_with: microbatch_size 8, precision fp32\n"
    "# batch_bytes: 1024\n"
    "# transfer_bytes_per_second: 2e9\n"
    "layer,forward,backward,backward_input,backward_weight,update,kept_bytes,forward_peak_bytes,"
    "backward_peak_bytes,outputs\n"
    "in, 0.001, 0.002, 0, 0.002, 1e-4, 100, 200, 300, hidden=40 mask=8\n"
    "\n"
    "out,0.003,0.004,0.001,0.003,2e-4,400,500,600,\n";

TEST(CostFile, IsRead) {
  const LayerCosts costs =
      costs_from_text(kText, layers_named({"in", "out"}), kSetting, "costs.csv");
  ASSERT_EQ(costs.layers.size(), 2);
  EXPECT_EQ(costs.batch_bytes, 1024);
  EXPECT_EQ(costs.transfer_bytes_per_second, 2e9);
  EXPECT_EQ(costs.layers[0].layer, "in");
  EXPECT_EQ(costs.layers[0].forward, 0.001);
  EXPECT_EQ(costs.layers[0].backward_weight, 0.002);
  EXPECT_EQ(costs.layers[0].output_bytes,
            (std::map<std::string, int64_t>{{"hidden", 40}, {"mask", 8}}));
  EXPECT_EQ(costs.layers[1].backward, 0.004);
  EXPECT_EQ(costs.layers[1].backward_input, 0.001);
  EXPECT_EQ(costs.layers[1].update, 2e-4);
  EXPECT_EQ(costs.layers[1].kept_bytes, 400);
  EXPECT_EQ(costs.layers[1].forward_peak_bytes, 500);
  EXPECT_EQ(costs.layers[1].backward_peak_bytes, 600);
  EXPECT_TRUE(costs.layers[1].output_bytes.empty());
}

TEST(CostFile, IsReadAsItWasWritten) {
  const auto layers = layers_named({"in", "out"});
  const LayerCosts costs = costs_from_text(kText, layers, kSetting, "costs.csv");
  const std::string text = costs_to_text(costs, kSetting);
  EXPECT_EQ(costs_to_text(costs_from_text(text, layers, kSetting, "again.csv"), kSetting), text);
  EXPECT_THAT(text, HasSubstr("in,0.001,0.002,0,0.002,0.0001,100,200,300,hidden=40 mask=8\n"));
}

TEST(CostFile, GivesTheOrderOfTheModel) {
  const LayerCosts costs =
      costs_from_text(kText, layers_named({"out", "in"}), kSetting, "costs.csv");
  EXPECT_EQ(costs.layers[0].layer, "out");
  EXPECT_EQ(costs.layers[1].layer, "in");
}

TEST(CostFile, IsRefusedWithEveryLineThatIsWrong) {
  const std::string message = test::message_of<ConfigError>([] {
    costs_from_text(
        "# transfer_bytes_per_second: fast\n"
        "in,1,2\n"
        "in,1,-2,0,2,1,100,x,300,hidden=40\n"
        "out,1,2,0,2,1,100,200,300,hidden\n"
        "out,1,2,0,2,1,100,200,300,\n",
        layers_named({"in", "middle"}), kSetting, "costs.csv");
  });
  EXPECT_THAT(message, HasSubstr("costs.csv:1: transfer_bytes_per_second: expected a number"));
  EXPECT_THAT(message, HasSubstr("costs.csv:2: 3 values; expected 10: layer,forward"));
  EXPECT_THAT(message, HasSubstr("costs.csv:3: backward: '-2' is no number of at least 0"));
  EXPECT_THAT(message, HasSubstr("costs.csv:3: forward_peak_bytes: 'x' is no number"));
  EXPECT_THAT(message, HasSubstr("costs.csv:4: outputs: 'hidden' is not NAME=BYTES"));
  EXPECT_THAT(message, HasSubstr("costs.csv:5: layer 'out' for the second time"));
  EXPECT_THAT(message, HasSubstr("costs.csv: has no line for the model's layer 'middle'"));
  EXPECT_THAT(message, HasSubstr("costs.csv: the model has no layer 'out'"));
}

TEST(CostFile, NeedsTheBatchAndEveryActivation) {
  std::vector<LayerSpec> layers = layers_named({"in"});
  layers[0].writes = {"hidden", "mask"};
  const std::string message = test::message_of<ConfigError>([&] {
    costs_from_text("# transfer_bytes_per_second: 1\nin,1,2,0,2,1,1,1,1,hidden=3\n", layers,
                    kSetting, "costs.csv");
  });
  EXPECT_THAT(message, HasSubstr("costs.csv: has no batch_bytes"));
  EXPECT_THAT(message, HasSubstr("costs.csv: layer 'in': outputs have no 'mask'"));
}

TEST(CostFile, IsOfOneKindOfRun) {
  EXPECT_THAT(test::message_of<ConfigError>([] {
                costs_from_text(kText, layers_named({"in", "out"}),
                                "microbatch_size 8, precision bf16", "costs.csv");
              }),
              HasSubstr("costs.csv:2: measured with microbatch_size 8, precision fp32; this "
                        "experiment has microbatch_size 8, precision bf16"));
}

TEST(CostFile, NeedsASpeed) {
  EXPECT_THAT(test::message_of<ConfigError>([] {
                costs_from_text("# transfer_bytes_per_second: 0\nin,1,2,0,2,1,1,1,1,\n",
                                layers_named({"in"}), kSetting, "costs.csv");
              }),
              HasSubstr("transfer_bytes_per_second must be above 0"));
  EXPECT_THAT(test::message_of<ConfigError>([] {  // left out
                costs_from_text("in,1,2,0,2,1,1,1,1,\n", layers_named({"in"}), kSetting,
                                "costs.csv");
              }),
              HasSubstr("transfer_bytes_per_second must be above 0"));
}

}  // namespace
}  // namespace triga
