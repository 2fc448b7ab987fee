#include "parallel/pipeline/carried_state.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

Batch batch_of(int64_t microbatch, int64_t num_samples) {
  Batch batch;
  batch.microbatch = microbatch;
  batch.num_samples = num_samples;
  return batch;
}

at::Tensor rows(int64_t count, float value) {
  return at::full({count, 2}, value);
}

TEST(CarriedState, IsWhatTheLastStepThatCountedWrote) {
  CarriedState carried;
  const Batch batch = batch_of(3, 2);
  EXPECT_FALSE(carried.begin(batch)->get("rnn", "hidden").defined());
  carried.begin(batch)->set("rnn", "hidden", rows(2, 1));
  carried.keep();
  EXPECT_TRUE(carried.begin(batch)->get("rnn", "hidden").equal(rows(2, 1)));
  carried.begin(batch)->set("rnn", "hidden", rows(2, NAN));
  carried.drop();  // the step is skipped
  EXPECT_TRUE(carried.begin(batch)->get("rnn", "hidden").equal(rows(2, 1)));
}

TEST(CarriedState, KeepsMicrobatchesApartAndForgetsAllAtOnce) {
  CarriedState carried;
  for (const int64_t microbatch : {0, 1})
    carried.begin(batch_of(microbatch, 2))
        ->set("rnn", "hidden", rows(2, static_cast<float>(microbatch)));
  carried.keep();
  EXPECT_TRUE(carried.begin(batch_of(1, 2))->get("rnn", "hidden").equal(rows(2, 1)));
  carried.clear();
  EXPECT_TRUE(carried.entries().empty());
  EXPECT_FALSE(carried.begin(batch_of(1, 2))->get("rnn", "hidden").defined());
}

TEST(CarriedState, HasTheFirstRowsInAStepOfFewerStreams) {
  CarriedState carried;
  carried.go_on(batch_of(0, 3))->set("rnn", "hidden", at::arange(6.0F).view({3, 2}));
  EXPECT_TRUE(
      carried.go_on(batch_of(0, 2))->get("rnn", "hidden").equal(at::arange(4.0F).view({2, 2})));
}

TEST(CarriedState, StoresNoHistory) {
  CarriedState carried;
  carried.go_on(batch_of(0, 2))->set("rnn", "hidden", rows(2, 1).requires_grad_(true) * 2);
  EXPECT_FALSE(carried.go_on(batch_of(0, 2))->get("rnn", "hidden").requires_grad());
}

TEST(CarriedState, ComesBackByTheNamesOfACheckpoint) {
  CarriedState carried, restored;
  carried.go_on(batch_of(12, 2))->set("rnn.0", "hidden", rows(2, 5));
  for (const auto& [name, value] : carried.entries()) {
    EXPECT_EQ(to_text(name), "rnn.0.hidden.12");
    restored.restore(carried_name_from(to_text(name)).value(), value);
  }
  EXPECT_TRUE(restored.begin(batch_of(12, 2))->get("rnn.0", "hidden").equal(rows(2, 5)));
  for (const char* text :
       {"", "hidden", "rnn.0", "rnn.hidden.x", "rnn.hidden.-1", "rnn.hidden.", ".3"})
    EXPECT_FALSE(carried_name_from(text)) << text;
}

}  // namespace
}  // namespace triga
