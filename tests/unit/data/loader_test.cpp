#include "data/loader.h"

#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <new>
#include <semaphore>
#include <thread>

#include "tests/support/message_of.h"
#include "tests/unit/data/fakes.h"

namespace triga {
namespace {

using ::testing::HasSubstr;
using ::triga::test::CollatingArchitecture;
using ::triga::test::message_of;
using ::triga::test::NumberDataset;
using ::triga::test::values_of;

struct Reading {
  explicit Reading(int64_t size) : dataset(size) {}
  LoaderOptions options(int64_t rank = 0, int64_t num_ranks = 1) const {
    return {.dataset = &dataset,
            .architecture = &architecture,
            .seed = 4,
            .rank = rank,
            .num_ranks = num_ranks};
  }
  NumberDataset dataset;
  CollatingArchitecture architecture;
};

TEST(TrainLoader, GivesTheSameMicrobatchesForEveryNumberOfRanks) {
  const Reading reading(23);
  const BatchPlan plan(reading.dataset, {.seed = 4, .samples_per_step = 16, .microbatch_size = 2});
  TrainLoader single(reading.options(), plan, 0);
  std::vector<std::vector<Batch>> expected;
  for (int step = 0; step < 6; ++step) expected.push_back(single.next());

  for (int64_t num_ranks : {2, 3, 5}) {
    std::vector<std::vector<Batch>> batches(expected.size());  // [step] of all ranks, in rank order
    for (int64_t rank = 0; rank < num_ranks; ++rank) {
      TrainLoader loader(reading.options(rank, num_ranks), plan, 0);
      for (size_t step = 0; step < expected.size(); ++step) {
        const auto mine = loader.next();
        const size_t num_global = expected[step].size();
        EXPECT_EQ(mine.size(), (num_global + num_ranks - 1) / static_cast<size_t>(num_ranks));
        for (const auto& batch : mine)
          if (batch.num_samples > 0) batches[step].push_back(batch);
      }
    }
    for (size_t step = 0; step < expected.size(); ++step) {
      ASSERT_EQ(batches[step].size(), expected[step].size())
          << num_ranks << " ranks, step " << step;
      for (size_t i = 0; i < batches[step].size(); ++i) {
        const Batch &mine = batches[step][i], &whole = expected[step][i];
        EXPECT_EQ(values_of(mine), values_of(whole));
        EXPECT_EQ(mine.microbatch, static_cast<int64_t>(i));
        EXPECT_EQ(mine.first_position, whole.first_position);
        EXPECT_TRUE(mine["noise"].equal(whole["noise"]));
      }
    }
  }
}

TEST(TrainLoader, GivesEmptyBatchesToRanksWithFewerMicrobatches) {
  const Reading reading(4);
  const BatchPlan plan(reading.dataset, {.samples_per_step = 4, .microbatch_size = 4});
  TrainLoader loader(reading.options(/*rank=*/2, /*num_ranks=*/3), plan, 0);
  const auto batches = loader.next();
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(batches[0].num_samples, 0);
  EXPECT_TRUE(batches[0].fields.empty());
}

TEST(TrainLoader, StartsAnywhereAsIfItHadReadAllBefore) {
  const Reading reading(23);
  const BatchPlan plan(reading.dataset, {.seed = 4, .samples_per_step = 5, .microbatch_size = 2});
  TrainLoader straight(reading.options(), plan, 0);
  for (int step = 0; step < 13; ++step) straight.next();
  TrainLoader resumed(reading.options(), plan, 13);
  for (int step = 13; step < 20; ++step) {
    const auto expected = straight.next(), batches = resumed.next();
    ASSERT_EQ(batches.size(), expected.size());
    for (size_t i = 0; i < batches.size(); ++i) {
      EXPECT_EQ(values_of(batches[i]), values_of(expected[i]));
      EXPECT_TRUE(batches[i]["noise"].equal(expected[i]["noise"]));
    }
  }
}

TEST(TrainLoader, KeysNoiseByPositionSoThatItDiffersEveryEpoch) {
  const Reading reading(1);
  const BatchPlan plan(reading.dataset, {.samples_per_step = 1});
  TrainLoader loader(reading.options(), plan, 0);
  const auto first = loader.next(), second = loader.next();
  EXPECT_EQ(values_of(first[0]), values_of(second[0]));
  EXPECT_FALSE(first[0]["noise"].equal(second[0]["noise"]));
  const RandomKey key = RandomKey(4).with("collate").with("train").with("noise");
  EXPECT_EQ(second[0]["noise"].item<double>(), RandomStream(key, 1).uniform());
}

TEST(TrainLoader, StopsAtItsLastStep) {
  const Reading reading(8);
  const BatchPlan plan(reading.dataset, {.samples_per_step = 2});
  TrainLoader loader(reading.options(), plan, 3, 5);
  loader.next();
  loader.next();
  EXPECT_THAT(message_of<Error>([&] { loader.next(); }), HasSubstr("a step after the last one"));
}

TEST(TrainLoader, NamesSplitAndSampleOfADatasetsError) {
  Reading reading(8);
  reading.dataset.before_get = [](int64_t index) {
    if (index == 5) throw std::runtime_error("the disk is on fire");
  };
  const BatchPlan plan(reading.dataset,
                       {.shuffle = false, .samples_per_step = 2, .microbatch_size = 2});
  TrainLoader loader(reading.options(), plan, 0);
  EXPECT_EQ(values_of(loader.next()[0]),
            (std::vector<int64_t>{0, 1}));  // what came before is still given
  EXPECT_EQ(values_of(loader.next()[0]), (std::vector<int64_t>{2, 3}));
  for (int again = 0; again < 2; ++again)
    EXPECT_EQ(message_of<DataError>([&] { loader.next(); }),
              "data.train: sample 5: the disk is on fire");
}

TEST(TrainLoader, NamesSplitAndSamplesOfAnErrorInCollate) {
  Reading reading(8);
  reading.architecture.before_collate = [](const CollateContext&) {
    throw std::runtime_error("no such shape");
  };
  const BatchPlan plan(reading.dataset,
                       {.shuffle = false, .samples_per_step = 2, .microbatch_size = 2});
  LoaderOptions options = reading.options();
  options.split = "validation";
  TrainLoader loader(options, plan, 2);
  EXPECT_EQ(message_of<DataError>([&] { loader.next(); }),
            "data.validation: batch of samples 4, 5: no such shape");
}

TEST(TrainLoader, DoesNotTakeLackOfMemoryForBadData) {
  Reading reading(2);
  reading.dataset.before_get = [](int64_t) { throw std::bad_alloc(); };
  const BatchPlan plan(reading.dataset, {.samples_per_step = 1});
  TrainLoader loader(reading.options(), plan, 0);
  EXPECT_THROW(loader.next(), OutOfMemoryError);
}

TEST(TrainLoader, ReadsAheadNoFurtherThanAsked) {
  Reading reading(1000);
  std::atomic<int> num_read = 0;
  reading.dataset.before_get = [&](int64_t) { ++num_read; };
  const BatchPlan plan(reading.dataset, {.samples_per_step = 1});
  LoaderOptions options = reading.options();
  options.prefetch = 3;
  TrainLoader loader(options, plan, 0);
  loader.next();
  for (int i = 0; i < 1000 && num_read < 4; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(num_read, 4);  // one used, three ahead
}

TEST(TrainLoader, MeasuresTheTimeSpentWaiting) {
  Reading reading(8);
  reading.dataset.before_get = [](int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  };
  const BatchPlan plan(reading.dataset, {.samples_per_step = 1});
  TrainLoader loader(reading.options(), plan, 0);
  const auto start = std::chrono::steady_clock::now();
  loader.next();
  loader.next();
  const double elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  EXPECT_GT(loader.seconds_waited(), 0.005);
  EXPECT_LE(loader.seconds_waited(), elapsed);
}

TEST(TrainLoader, EndsWhileItsThreadIsAtWork) {
  Reading reading(8);
  std::binary_semaphore is_reading(0), may_go_on(0);
  reading.dataset.before_get = [&](int64_t index) {
    if (index != 0) return;
    is_reading.release();
    may_go_on.acquire();
  };
  const BatchPlan plan(reading.dataset, {.shuffle = false, .samples_per_step = 1});
  auto loader = std::make_unique<TrainLoader>(reading.options(), plan, 0);
  is_reading.acquire();
  std::thread destroyer([&] { loader.reset(); });
  may_go_on.release();
  destroyer.join();
}

TEST(TrainLoader, CollatesWithoutGradientsAndNotInInferenceMode) {
  Reading reading(2);
  std::atomic<bool> had_gradients = true, had_inference_mode = true;
  reading.architecture.before_collate = [&](const CollateContext& context) {
    EXPECT_TRUE(context.training);
    had_gradients = at::GradMode::is_enabled();
    had_inference_mode = c10::InferenceMode::is_enabled();
  };
  const BatchPlan plan(reading.dataset, {.samples_per_step = 1});
  TrainLoader loader(reading.options(), plan, 0);
  loader.next();
  EXPECT_FALSE(had_gradients);
  EXPECT_FALSE(had_inference_mode);
}

TEST(EvaluationLoader, GivesEachSampleOnceInOrderOverAllRanks) {
  const Reading reading(11);
  for (int64_t num_ranks : {1, 2, 3, 5, 7}) {
    std::vector<int64_t> values;
    std::vector<int> num_calls;
    for (int64_t rank = 0; rank < num_ranks; ++rank) {
      EvaluationLoader loader(reading.options(rank, num_ranks), /*microbatch_size=*/2);
      num_calls.push_back(0);
      while (const auto batch = loader.next()) {
        ++num_calls.back();
        const auto mine = values_of(*batch);
        EXPECT_EQ(static_cast<int64_t>(mine.size()), batch->num_samples);
        values.insert(values.end(), mine.begin(), mine.end());
      }
      EXPECT_FALSE(loader.next());
    }
    EXPECT_EQ(values, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
    for (int calls : num_calls) EXPECT_EQ(calls, (6 + num_ranks - 1) / num_ranks);
  }
}

TEST(EvaluationLoader, SaysThatItIsNotTraining) {
  Reading reading(2);
  reading.architecture.before_collate = [](const CollateContext& context) {
    if (context.training) throw std::runtime_error("training");
  };
  EvaluationLoader loader(reading.options(), 2);
  EXPECT_TRUE(loader.next());
}

/// What each microbatch reads from step to step, by (rank, microbatch).
using Streams = std::map<std::pair<int64_t, int64_t>, std::vector<int64_t>>;

void add_first_value(Streams& streams, int64_t rank, const Batch& batch) {
  if (batch.num_samples > 0) streams[{rank, batch.microbatch}].push_back(values_of(batch).front());
}

TEST(TrainLoader, LeavesAStreamWithItsRankInTheShortLastStep) {
  const Reading reading(27);  // 8 streams: three of 4 samples, five of 3
  const BatchPlan plan(
      reading.dataset,
      {.shuffle = false, .in_streams = true, .samples_per_step = 8, .microbatch_size = 1});
  Streams streams;
  for (int64_t rank : {0, 1, 2}) {
    LoaderOptions options = reading.options(rank, 3);
    options.num_streams = 8;
    TrainLoader loader(options, plan, 0);
    for (int64_t step = 0; step < 4; ++step) {
      const auto batches = loader.next();
      EXPECT_EQ(batches.size(),
                3u);  // of 8 microbatches over 3 ranks; in the last step of 3 as well
      for (const Batch& batch : batches) add_first_value(streams, rank, batch);
    }
  }
  ASSERT_EQ(streams.size(), 8u) << "a microbatch has moved to another rank";
  for (const auto& [place, values] : streams)
    for (size_t i = 1; i < values.size(); ++i) EXPECT_EQ(values[i], values[i - 1] + 1);
}

TEST(EvaluationLoader, ReadsStreamsThatStayWithTheirRanks) {
  const Reading reading(11);
  for (int64_t num_ranks : {1, 2, 3}) {
    Streams streams;
    std::vector<int64_t> all;
    std::vector<int> num_calls;
    for (int64_t rank = 0; rank < num_ranks; ++rank) {
      LoaderOptions options = reading.options(rank, num_ranks);
      options.num_streams = 4;
      EvaluationLoader loader(options, /*microbatch_size=*/2);
      num_calls.push_back(0);
      while (const auto batch = loader.next()) {
        ++num_calls.back();
        add_first_value(streams, rank, *batch);
        for (const int64_t value : values_of(*batch)) all.push_back(value);
      }
    }
    EXPECT_EQ(streams.size(), 2u);
    for (const auto& [place, values] : streams)
      for (size_t i = 1; i < values.size(); ++i) EXPECT_EQ(values[i], values[i - 1] + 1);
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}));
    EXPECT_TRUE(std::equal(num_calls.begin() + 1, num_calls.end(), num_calls.begin()));
  }
}

}  // namespace
}  // namespace triga
