// A model that is cut into stages, with all that passes a boundary sent through the wire format, is
// the uncut model to the bit: outputs, losses, gradients, buffers and carried state. (A parameter
// that three layers share would differ in its last bits: where two of them lie in one stage, their
// gradients are added up before the third.)
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "parallel/pipeline/flow.h"
#include "tests/support/cut_model.h"
#include "tests/support/encoder_decoder.h"

namespace triga {
namespace {

using ::testing::IsEmpty;

constexpr size_t kNumSteps = 3;

class CutModelTest : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // faster for so small a model

  test::Record train(const std::vector<size_t>& cuts) const {
    std::vector<Batch> batches;
    for (size_t step = 0; step < kNumSteps; ++step) {
      std::vector<Sample> samples;
      for (int64_t i = 0; i < 3; ++i)
        samples.push_back(test::encoder_decoder_sample(10 * int64_t(step) + i));
      batches.push_back(model_.collate(samples, {}));
      batches.back().microbatch = int64_t(step) + 3;
    }
    return test::CutModel(model_, cuts).train(batches, /*carry_state=*/true);
  }

  test::EncoderDecoder model_;
  size_t num_layers_ = model_.layers().size();
};

TEST_F(CutModelTest, UncutRunUsesAllThatTheArchitectureHas) {
  check_layers(model_.layers());
  auto record = train({});
  EXPECT_GT(record.at("step 0: loss").item<float>(), 1);
  EXPECT_GT(record.at("step 0: sparsity").item<float>(), 1);
  EXPECT_NE(record.at("step 1: state running of decoder.0").abs().sum().item<float>(), 0);
  EXPECT_FALSE(record.contains("step 0: gradient of features.table.weight")) << "not frozen";
  EXPECT_TRUE(
      record.at("step 0: features.table.weight").equal(record.at("step 2: features.table.weight")));
  EXPECT_FALSE(record.at("step 0: encoder.norm.running_mean")
                   .equal(record.at("step 1: encoder.norm.running_mean")));
  EXPECT_NE(record.at("step 0: logits").size(1), record.at("step 2: logits").size(1))
      << "lengths do not vary";
  for (const auto& [name, tensor] : record) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
    if (name.find("gradient of") != std::string::npos)
      EXPECT_NE(tensor.abs().sum().item<float>(), 0) << name;
  }
}

TEST_F(CutModelTest, RunsTwiceToTheSameBits) {
  EXPECT_THAT(test::differences(train({}), train({})), IsEmpty());
}

TEST_F(CutModelTest, EveryCutIsTheUncutModelToTheBit) {
  const auto uncut = train({});
  for (size_t cut = 1; cut < num_layers_; ++cut)
    EXPECT_THAT(test::differences(uncut, train({cut})), IsEmpty()) << "cut before layer " << cut;
}

// Where two stages use an activation twice each, its gradient is added up in each of them first.
TEST_F(CutModelTest, AStageALayerIsTheUncutModelUpToTheOrderOfSums) {
  std::vector<size_t> all;
  for (size_t cut = 1; cut < num_layers_; ++cut) all.push_back(cut);
  const auto uncut = train({}), cut = train(all);
  ASSERT_EQ(cut.size(), uncut.size());
  for (const auto& [name, tensor] : uncut)
    EXPECT_TRUE(cut.at(name).allclose(tensor, 1e-5, 1e-6)) << name;
}

}  // namespace
}  // namespace triga
