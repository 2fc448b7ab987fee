#include "checkpoint/retention.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "checkpoint/layout.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "tests/support/memory_files.h"
#include "tests/support/small_snapshot.h"

namespace triga {
namespace {

using test::MemoryFiles;
using test::small_snapshot;
using testing::ElementsAre;

const Path kCheckpoints = "/run/checkpoints";

std::vector<std::string> names(FileSystem& files) {
  return files.list(kCheckpoints);
}

TEST(StepsToKeep, AreTheNewestAndTheBest) {
  const std::vector<CheckpointSummary> checkpoints = {{40, {{"loss", 3}}},
                                                      {10, {{"loss", 1}}},
                                                      {20, {{"loss", 2}}},
                                                      {30, {{"loss", NAN}}},
                                                      {50, {}}};
  EXPECT_THAT(steps_to_keep(checkpoints, {1, {}}), ElementsAre(50));
  EXPECT_THAT(steps_to_keep(checkpoints, {0, {}}), ElementsAre(50));
  EXPECT_THAT(steps_to_keep(checkpoints, {2, KeepBest{"loss", false, 1}}), ElementsAre(10, 40, 50));
  EXPECT_THAT(steps_to_keep(checkpoints, {1, KeepBest{"loss", false, 2}}), ElementsAre(10, 20, 50));
  EXPECT_THAT(steps_to_keep(checkpoints, {1, KeepBest{"loss", true, 2}}), ElementsAre(20, 40, 50));
  EXPECT_THAT(steps_to_keep(checkpoints, {1, KeepBest{"other", true, 2}}), ElementsAre(50));
  EXPECT_THAT(steps_to_keep({}, {3, {}}), testing::IsEmpty());
  EXPECT_EQ(best_step({{10, {{"a", 2}}}, {5, {{"a", 2}}}}, {"a", false, 1}), 5)
      << "the earlier of two equal ones";
}

// Random runs: after every save the folder holds exactly what the rule says, by a rule written in
// another way.
TEST(Retention, KeepsWhatTheRuleSaysAfterEverySave) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const int64_t keep_last = 1 + random() % 3, keep_best = 1 + random() % 3;
    const bool maximize = random() % 2;
    MemoryFiles files;
    files.make_directory("/run");
    auto writer = std::make_unique<CheckpointWriter>(
        files, kCheckpoints, WriterOptions{{keep_last, KeepBest{"m", maximize, keep_best}}});
    std::vector<std::pair<int64_t, double>> there;  // (step, metric), oldest first
    for (int64_t step = 1; step <= 15; ++step) {
      const bool is_evaluated = random() % 4 != 0;
      const double metric = is_evaluated ? static_cast<double>(random() % 5) : NAN;
      if (random() % 5 == 0)  // a start of the run in between changes nothing
        writer = std::make_unique<CheckpointWriter>(
            files, kCheckpoints, WriterOptions{{keep_last, KeepBest{"m", maximize, keep_best}}});
      writer->save(small_snapshot(step, is_evaluated ? std::map<std::string, double>{{"m", metric}}
                                                     : std::map<std::string, double>{}));
      there.emplace_back(step, metric);

      const auto num_better = [&](const std::pair<int64_t, double>& one) {
        return std::count_if(there.begin(), there.end(), [&](const auto& other) {
          const double gain = maximize ? other.second - one.second : one.second - other.second;
          return gain > 0 || (gain == 0 && other.first < one.first);
        });
      };
      std::vector<std::pair<int64_t, double>> kept;
      std::vector<std::string> expected;
      std::optional<int64_t> best;
      for (size_t i = 0; i < there.size(); ++i) {
        const bool is_best = !std::isnan(there[i].second) && num_better(there[i]) < keep_best;
        if (!std::isnan(there[i].second) && num_better(there[i]) == 0) best = there[i].first;
        if (!is_best && there.size() - i > static_cast<size_t>(keep_last)) continue;
        kept.push_back(there[i]);
        expected.push_back(checkpoint_name(there[i].first));
      }
      there = kept;
      expected.insert(expected.begin(), "latest");
      if (best) expected.insert(expected.begin(), "best");
      ASSERT_EQ(names(files), expected) << "seed " << seed << ", step " << step;
      ASSERT_EQ(files.read_link(kCheckpoints / "latest"), checkpoint_name(step));
      if (best) ASSERT_EQ(files.read_link(kCheckpoints / "best"), checkpoint_name(*best));
    }
  }
}

// A start with a smaller keep_last, where bytes of the newest have changed on the disk meanwhile.
TEST(Retention, NeverRemovesTheLastGoodOne) {
  for (unsigned mask = 0; mask < 8; ++mask) {
    MemoryFiles files;
    files.make_directory("/run");
    {
      CheckpointWriter writer(files, kCheckpoints, {});
      for (int64_t step : {10, 20, 30}) writer.save(small_snapshot(step));
    }
    for (int i = 0; i < 3; ++i)
      if (mask & (1u << i))
        files.content(kCheckpoints / checkpoint_name(10 * (i + 1)) / "model.safetensors").back() ^=
            1;
    const auto before = find_checkpoint(files, "/run").directory;
    CheckpointWriter writer(files, kCheckpoints, {{1, {}}});
    EXPECT_EQ(find_checkpoint(files, "/run").directory, before) << mask;
    const bool is_newest_broken = mask & 4;
    EXPECT_EQ(writer.take_warnings().empty(), !is_newest_broken);
    EXPECT_EQ(names(files).size(), is_newest_broken ? 4u : 2u);

    writer.save(small_snapshot(40));  // now there is a good one
    EXPECT_THAT(names(files), ElementsAre("latest", "step-00000040"));
  }
}

TEST(Retention, KeepsWhatWasJustSavedBehindAnAbandonedNewerOne) {
  MemoryFiles files;
  files.make_directory("/run");
  CheckpointWriter writer(files, kCheckpoints, {{1, {}}});
  writer.save(small_snapshot(40));
  files.content(kCheckpoints / "step-00000040/model.safetensors").back() ^=
      1;  // so the run goes on from an older one
  writer.save(small_snapshot(30));
  EXPECT_THAT(names(files), ElementsAre("latest", "step-00000030", "step-00000040"));
  EXPECT_EQ(files.read_link(kCheckpoints / "latest"), "step-00000030");
  EXPECT_EQ(find_checkpoint(files, "/run").directory, kCheckpoints / "step-00000030");
}

TEST(KeepWaysBack, AddsTheNewestFromBeforeASeriesOfSpikes) {
  const std::vector<CheckpointSummary> checkpoints = {
      {10, {}}, {20, {}}, {22, {}, 21}, {30, {}}, {33, {}, 30}};
  const auto with_ways_back = [&](std::set<int64_t> keep) {
    keep_ways_back(checkpoints, keep);
    return keep;
  };
  EXPECT_THAT(with_ways_back({30}), ElementsAre(30));
  EXPECT_THAT(with_ways_back({22}), ElementsAre(20, 22));
  EXPECT_THAT(with_ways_back({33}), ElementsAre(20, 22, 33)) << "22 may be damaged as data are";
}

// A stop saves in a series too; the run that goes on may have to go back.
TEST(Retention, KeepsTheWayBackWhileASeriesOfSpikesLasts) {
  MemoryFiles files;
  files.make_directory("/run");
  const WriterOptions last_one{{1, {}}};
  CheckpointWriter(files, kCheckpoints, last_one).save(small_snapshot(16));
  Snapshot stopped = small_snapshot(22);
  stopped.state.spikes_in_a_row = 2;
  stopped.state.first_spike_step = 21;
  CheckpointWriter(files, kCheckpoints, last_one).save(stopped);
  CheckpointWriter writer(files, kCheckpoints, last_one);  // the next start
  EXPECT_THAT(names(files), ElementsAre("latest", "step-00000016", "step-00000022"));
  EXPECT_EQ(find_checkpoint(files, "/run", 21).directory, kCheckpoints / "step-00000016");
  writer.save(small_snapshot(24));  // the series is over
  EXPECT_THAT(names(files), ElementsAre("latest", "step-00000024"));
}

TEST(Retention, LeavesBrokenAndForeignThingsAlone) {
  MemoryFiles files;
  files.make_directory("/run");
  CheckpointWriter writer(files, kCheckpoints, {{1, {}}});
  writer.save(small_snapshot(10));
  files.content(kCheckpoints / "step-00000010/training/manifest.json").clear();
  files.make_directory(kCheckpoints / "my-copy");
  writer.save(small_snapshot(20));
  EXPECT_THAT(names(files), ElementsAre("latest", "my-copy", "step-00000010", "step-00000020"));
}

}  // namespace
}  // namespace triga
