#include "checkpoint/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "checkpoint/environment.h"

namespace triga {
namespace {

using testing::HasSubstr;

Manifest example() {
  Manifest manifest;
  manifest.step = 500;
  manifest.environment = {{"triga", "0.1.0"}};
  manifest.metrics = {{"validation/loss", 0.1 + 0.2},
                      {"bad", std::numeric_limits<double>::quiet_NaN()}};
  manifest.files = {{"config.json", 2, {checksum_of("{}")}}, {"empty", 0, {}}};
  return manifest;
}

std::string error_of(const std::string& text) {
  try {
    manifest_from_json(text, "M");
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "accepted";
}

// The same text with another value, and the right checksum of itself.
std::string with(const std::string& from, const std::string& to) {
  std::string text = to_json(example());
  text.replace(text.find(from), from.size(), to);
  const size_t digits = text.size() - 4 - 32;
  text.replace(digits, 32, std::string(32, '0'));
  return text.replace(digits, 32, checksum_of(text));
}

TEST(Manifest, ReadsBackWhatItWrote) {
  const auto manifest = manifest_from_json(to_json(example()), "M");
  EXPECT_EQ(manifest.step, 500);
  EXPECT_EQ(manifest.environment, example().environment);
  EXPECT_EQ(manifest.metrics, (std::map<std::string, double>{{"validation/loss", 0.1 + 0.2}}));
  ASSERT_EQ(manifest.files.size(), 2u);
  EXPECT_EQ(manifest.files[0].path, "config.json");
  EXPECT_EQ(manifest.files[0].blocks, example().files[0].blocks);
}

TEST(Manifest, SeesAnyChangedByteOfItself) {
  const std::string text = to_json(example());
  for (size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] ^= 1;
    ASSERT_NE(error_of(changed), "accepted") << "byte " << i;
    ASSERT_NE(error_of(text.substr(0, i)), "accepted") << "cut at " << i;
  }
  EXPECT_THAT(error_of(text + " "), HasSubstr("its checksum of itself differs"));
}

TEST(Manifest, RefusesWhatItCannotTrustOrUnderstand) {
  EXPECT_EQ(error_of(with("0.1.0", "0.1.0")), "accepted");
  EXPECT_THAT(error_of(with("\"version\": 1", "\"version\": 2")),
              HasSubstr("this Triga reads version 1"));
  EXPECT_THAT(error_of(with("triga-checkpoint", "another")),
              HasSubstr("not the manifest of a checkpoint"));
  EXPECT_THAT(error_of(with("config.json", "../config.json")),
              HasSubstr("is not a path in the checkpoint"));
  EXPECT_THAT(error_of(with("config.json", "/etc/passwd")),
              HasSubstr("is not a path in the checkpoint"));
  EXPECT_THAT(error_of(with("\"bytes\": 2", "\"bytes\": 0")),
              HasSubstr("has 1 checksums for 0 bytes"));
  EXPECT_THAT(error_of(with("\"bytes\": 2", "\"bytes\": -2")),
              HasSubstr("'bytes' is -2, not a number in range"));
  EXPECT_THAT(error_of(with("\"bytes\": 2", "\"bytes\": 18446744073709551615")),
              HasSubstr("has 1 checksums for"));
  EXPECT_THAT(error_of(with("\"step\": 500", "\"step\": 1.5")),
              HasSubstr("'step' is 1.5, not an integer"));
  EXPECT_THAT(error_of(with("\"step\": 500", "\"step\": 9223372036854775808")),
              HasSubstr("not a number in range"));
  EXPECT_THAT(error_of(with("\"step\"", "\"stop\"")), HasSubstr("'step' is missing"));
  EXPECT_THAT(error_of(with("16777216", "1024")), HasSubstr("'block_bytes' must be 16777216"));
  EXPECT_THAT(error_of(with("\"files\"", "\"filez\"")), HasSubstr("'files' is missing"));
  EXPECT_THAT(error_of(std::string(100, '[')), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(error_of(std::string("{\0}", 3)), HasSubstr("a zero byte at 1"));
}

TEST(TrainingState, ReadsBackToTheBit) {
  TrainingState state;
  state.step = int64_t{1} << 60;
  state.epoch = 3;
  state.position = 17;
  state.train_seconds = 0.1 + 0.2;
  state.best_value = 1.0 / 3;
  state.best_step = 12;
  state.losses = {0.1 + 0.2, 1.0 / 3};
  state.spikes_in_a_row = 2;
  state.first_spike_step = 11;
  state.rollbacks = 1;
  state.left_out_steps = 7;
  state.good_steps = 5;
  state.settled_rollbacks = 1;
  EXPECT_EQ(training_state_from_json(to_json(state), "S"), state);
  state.best_value.reset();
  EXPECT_EQ(training_state_from_json(to_json(state), "S"), state);
  EXPECT_THROW(training_state_from_json("{}", "S"), CheckpointError);
  EXPECT_THROW(training_state_from_json("[1]", "S"), CheckpointError);
}

TEST(TrainingState, IsReadAsOlderVersionsWroteIt) {
  TrainingState state;
  state.step = 30;
  state.rollbacks = 2;
  state.left_out_steps = 7;
  std::string text = to_json(state);
  const size_t end = text.find(",\n  \"good_steps\"");
  ASSERT_NE(end, std::string::npos);
  text = text.substr(0, end) + "\n}\n";
  EXPECT_EQ(text.find("settled"), std::string::npos);
  EXPECT_EQ(training_state_from_json(text, "S"), state);
}

TEST(Environment, NamesEveryDifference) {
  EXPECT_THAT(environment_differences({{"cpu", "A"}, {"gpu", "H200"}, {"same", "1"}},
                                      {{"cpu", "B"}, {"mpi", "4"}, {"same", "1"}}),
              testing::ElementsAre("cpu: the checkpoint was written with A, here it is B",
                                   "gpu: the checkpoint was written with H200, here there is none",
                                   "mpi: the checkpoint was written without it, here it is 4"));
  const auto here = this_environment();
  EXPECT_TRUE(environment_differences(here, here).empty());
  EXPECT_THAT(here.at("libtorch"), HasSubstr("2.11"));
  EXPECT_NE(here.at("cpu"), "unknown");
}

}  // namespace
}  // namespace triga
