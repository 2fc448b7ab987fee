// Augmentation of vit_classifier: which pixels it gives for which random numbers, and that these
// depend on (seed, epoch, sample) alone. What the model makes of pixels: tests/parity/vit_classifier.py.
#include "transformer/vit.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "data/loader.h"

namespace triga::transformer {
namespace {

constexpr int64_t kChannels = 3, kSize = 4, kShift = 2;

VitConfig small_config(int64_t shift, bool flip) {
  VitConfig config;
  config.image_size = kSize;
  config.patch_size = 2;
  config.num_channels = kChannels;
  config.num_labels = 5;
  config.shift = shift;
  config.flip = flip;
  return config;
}

/// No two pixels of an image are alike, and none is black.
class Images final : public Dataset {
 public:
  explicit Images(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    const at::Tensor pixels = at::arange(1, kChannels * kSize * kSize + 1) + 10 * index;
    return {{"image", pixels.to(at::kByte).view({kChannels, kSize, kSize})},
            {"label", at::scalar_tensor(index % 5, at::kLong)}};
  }
  std::string fingerprint() const override { return "images"; }

 private:
  int64_t size_;
};

struct Moves {
  int64_t down = 0, right = 0;
  bool is_mirrored = false;
};

/// The pixels of an image that is moved, black behind it, then mirrored: one after the other, from
/// where each comes.
at::Tensor moved(const Sample& sample, const Moves& moves) {
  const at::Tensor image = sample["image"].to(at::kLong);
  at::Tensor result = at::full({kChannels, kSize, kSize}, -1.0F);  // black
  for (int64_t c = 0; c < kChannels; ++c)
    for (int64_t y = 0; y < kSize; ++y)
      for (int64_t x = 0; x < kSize; ++x) {
        const int64_t from_y = y - moves.down;
        const int64_t from_x = (moves.is_mirrored ? kSize - 1 - x : x) - moves.right;
        if (from_y < 0 || from_y >= kSize || from_x < 0 || from_x >= kSize) continue;
        result[c][y][x] =
            static_cast<float>(image[c][from_y][from_x].item<int64_t>()) / 127.5F - 1.0F;
      }
  return result;
}

CollateContext at_position(int64_t position, uint64_t seed = 9) {
  return {.first_position = position, .key = RandomKey(seed), .training = true};
}

at::Tensor pixels_of(const VitConfig& config, const std::vector<Sample>& samples,
                     const CollateContext& context) {
  return Vit(config).collate(samples, context)["pixel_values"];
}

TEST(VitAugmentation, GivesThePixelsOfItsRandomNumbers) {
  const Images images(20);
  std::vector<Sample> samples;
  for (int64_t i = 0; i < images.size(); ++i) samples.push_back(images.get(i));
  for (const int64_t shift : {int64_t{0}, kShift})
    for (const bool flip : {false, true}) {
      const CollateContext context = at_position(100);
      const at::Tensor pixels = pixels_of(small_config(shift, flip), samples, context);
      for (int64_t i = 0; i < images.size(); ++i) {
        RandomStream random = context.random(i, "augmentation");
        Moves moves;
        if (shift > 0) {
          moves.down = random.below(2 * shift + 1) - shift;
          moves.right = random.below(2 * shift + 1) - shift;
        }
        moves.is_mirrored = flip && random.below(2) == 1;
        EXPECT_TRUE(pixels[i].equal(moved(samples[static_cast<size_t>(i)], moves)))
            << "shift " << shift << ", flip " << flip << ", sample " << i;
      }
    }
}

TEST(VitAugmentation, MovesByEveryDistanceBothWaysAndMirrorsHalf) {
  const Sample sample = Images(1).get(0);
  std::vector<at::Tensor> expected;  // of every move, plain ones first
  for (const bool is_mirrored : {false, true})
    for (int64_t down = -kShift; down <= kShift; ++down)
      for (int64_t right = -kShift; right <= kShift; ++right)
        expected.push_back(moved(sample, {down, right, is_mirrored}));
  constexpr int64_t kTimes = 2000;
  const at::Tensor pixels =
      pixels_of(small_config(kShift, true), std::vector<Sample>(kTimes, sample), at_position(0));
  std::vector<int64_t> counts(expected.size());
  for (int64_t i = 0; i < kTimes; ++i)
    for (size_t move = 0; move < expected.size(); ++move)
      if (pixels[i].equal(expected[move])) ++counts[move];
  int64_t total = 0;
  for (const int64_t count : counts) {
    // 40 each; five standard deviations.
    EXPECT_NEAR(static_cast<double>(count), 40, 5 * 6.3);
    total += count;
  }
  EXPECT_EQ(total, kTimes) << "pixels of no move, or of two";
}

TEST(VitAugmentation, IsOfTrainingAlone) {
  const std::vector<Sample> samples = {Images(1).get(0)};
  CollateContext context = at_position(7);
  context.training = false;
  for (int64_t position = 0; position < 20; ++position) {
    context.first_position = position;
    EXPECT_TRUE(
        pixels_of(small_config(kShift, true), samples, context)[0].equal(moved(samples[0], {})));
  }
}

struct Reading {
  uint64_t seed = 4;
  int64_t num_ranks = 1;
  int64_t microbatch_size = 2;
};

/// What all ranks read in so many epochs: pixels by position, which is epoch * size + place in it.
std::map<int64_t, at::Tensor> read(const Images& images, int64_t num_epochs,
                                   const Reading& reading) {
  const Vit vit(small_config(kShift, true));
  const BatchPlan plan(
      images,
      {.seed = reading.seed, .samples_per_step = 6, .microbatch_size = reading.microbatch_size});
  std::map<int64_t, at::Tensor> pixels;
  for (int64_t rank = 0; rank < reading.num_ranks; ++rank) {
    const LoaderOptions options{.dataset = &images,
                                .architecture = &vit,
                                .seed = reading.seed,
                                .rank = rank,
                                .num_ranks = reading.num_ranks};
    const int64_t num_steps = plan.steps_in_epochs(num_epochs);
    TrainLoader loader(options, plan, 0, num_steps);
    for (int64_t step = 0; step < num_steps; ++step)
      for (const Batch& batch : loader.next())
        for (int64_t i = 0; i < batch.num_samples; ++i)
          pixels.emplace(batch.first_position + i, batch["pixel_values"][i]);
  }
  return pixels;
}

bool are_equal(const std::map<int64_t, at::Tensor>& left,
               const std::map<int64_t, at::Tensor>& right) {
  return std::equal(
      left.begin(), left.end(), right.begin(), right.end(),
      [](const auto& a, const auto& b) { return a.first == b.first && a.second.equal(b.second); });
}

TEST(VitAugmentation, DoesNotDependOnRanksNorMicrobatches) {
  const Images images(20);
  const auto alone = read(images, 2, {});
  ASSERT_EQ(alone.size(), 40U);
  EXPECT_TRUE(are_equal(alone, read(images, 2, {})));
  for (const int64_t num_ranks : {2, 3, 5})
    for (const int64_t microbatch_size : {1, 2, 3})
      EXPECT_TRUE(are_equal(
          alone, read(images, 2, {.num_ranks = num_ranks, .microbatch_size = microbatch_size})))
          << num_ranks << " ranks, microbatches of " << microbatch_size;
  EXPECT_FALSE(are_equal(alone, read(images, 2, {.seed = 5})));
}

TEST(VitAugmentation, IsAnotherOneEveryEpoch) {
  const Images one(1);  // so that only its moves can differ
  const auto pixels = read(one, 30, {});
  ASSERT_EQ(pixels.size(), 30U);
  int64_t num_others = 0;
  for (const auto& [position, image] : pixels)
    if (!image.equal(pixels.at(0))) ++num_others;
  EXPECT_GE(num_others, 25);  // a move comes again in one of 50 cases
}

TEST(Vit, ReadsTheNamesOfABareEncoderAndPassesOverItsPooler) {
  const Vit model(small_config(0, false));
  EXPECT_EQ(model.parameter_name("embeddings.cls_token"), "vit.embeddings.cls_token");
  EXPECT_EQ(model.parameter_name("encoder.layer.0.output.dense.bias"),
            "vit.encoder.layer.0.output.dense.bias");
  EXPECT_EQ(model.parameter_name("layernorm.weight"), "vit.layernorm.weight");
  for (const auto* name : {"vit.layernorm.weight", "classifier.bias"})
    EXPECT_EQ(model.parameter_name(name), name);
  for (const auto* name : {"pooler.dense.weight", "vit.pooler.dense.bias"})
    EXPECT_EQ(model.parameter_name(name), std::nullopt) << name;
}

}  // namespace
}  // namespace triga::transformer
