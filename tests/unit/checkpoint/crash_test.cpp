// Whatever is interrupted, and wherever: the newest whole checkpoint is found. The interruptions
// are enumerated: for every file operation of a save there is a run in which it is the one that
// does not happen, or fails.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>

#include "checkpoint/checksum.h"
#include "tests/support/faulty_files.h"
#include "tests/unit/checkpoint/crash_scenes.h"

namespace triga::test {
namespace {

std::vector<Scene> scenes() {
  return {
      {"first save of a run", {}, small_snapshot(10), {}},
      {"later save, nothing to remove",
       {small_snapshot(10), small_snapshot(20)},
       small_snapshot(30),
       {}},
      removes_two(),
      {"keeps the best",
       {small_snapshot(10, {{"loss", 1}}), small_snapshot(20, {{"loss", 4}})},
       small_snapshot(30, {{"loss", 2}}),
       last_one_and_best()},
      replaces_the_newest(),
  };
}

// Runs `action` and lets it die at an operation; false: it ended before.
bool dies_at(FileSystem& files, int64_t operation, const std::function<void(FileSystem&)>& action) {
  FaultyFiles dying(files, {Fault::Kind::kCrash, operation});
  try {
    action(dying);
    return false;
  } catch (const SimulatedCrash&) {
    return true;
  }
}

class CrashDuringASave : public testing::TestWithParam<Way> {};
class ErrorDuringASave : public testing::TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(Ways, CrashDuringASave,
                         testing::Values(Way::kWaiting, Way::kInBackground));
INSTANTIATE_TEST_SUITE_P(Ways, ErrorDuringASave,
                         testing::Values(Way::kWaiting, Way::kInBackground));

TEST_P(CrashDuringASave, LeavesTheOldOrTheNewCheckpointAndTheNextStartGoesOn) {
  for (const auto& scene : scenes()) {
    const MemoryFiles disk = prepared(scene);
    int64_t num_old = 0, num_new = 0;
    for (const auto& power : powers()) {
      bool has_ended = false;
      for (int64_t operation = 1; !has_ended; ++operation) {
        MemoryFiles memory(disk);
        FaultyFiles dying(memory, {Fault::Kind::kCrash, operation});
        try {
          start_and_save(dying, scene, GetParam());
          has_ended = true;
        } catch (const SimulatedCrash&) {
        }
        if (power.crash != Crash::kKeepsAll && !has_ended && !is_change(dying.log().back()))
          continue;
        memory.crash(power.crash, power.seed);
        const auto situation = scene.name + ", crash at operation " + std::to_string(operation) +
                               ": " + dying.log().back() + ", kind " +
                               std::to_string(static_cast<int>(power.crash));
        const Found found = what_is_found(memory, scene);
        ASSERT_TRUE(is_allowed_after_a_crash(found, scene))
            << situation << ": " << static_cast<int>(found);
        if (has_ended) ASSERT_EQ(found, Found::kNew) << situation << ": save() returned";
        (found == Found::kNew ? num_new : num_old)++;

        start_and_save(memory, scene);  // the same steps again, by the next start
        ASSERT_EQ(what_is_found(memory, scene), Found::kNew) << situation;
        expect_tidy(memory, situation);
        if (testing::Test::HasFailure()) return;
      }
    }
    EXPECT_GT(num_old, 80) << scene.name << ": hardly a crash before the checkpoint was visible";
    EXPECT_GT(num_new, 20) << scene.name;
  }
}

// Both files are written at once, by a thread each.
Scene large_files() {
  Snapshot saved = small_snapshot(30);
  const auto numbers = at::arange(static_cast<int64_t>(kLargeFileBytes / 4), at::kFloat);
  saved.weights[""]["large"] = numbers;
  saved.training["optimizer"]["large.exp_avg"] = numbers + 1;
  return {"large files", {small_snapshot(10), small_snapshot(20)}, saved, {}};
}

// Which of the two files the n-th operation is of differs from run to run. Such a save takes long,
// so only every seventh operation is struck.
TEST(CrashDuringASaveOfLargeFiles, LeavesTheOldOrTheNewCheckpoint) {
  const Scene scene = large_files();
  const MemoryFiles disk = prepared(scene);
  int64_t num_old = 0, num_new = 0;
  for (const Crash crash : {Crash::kKeepsAll, Crash::kLosesUnsynced, Crash::kTears}) {
    bool has_ended = false;
    for (int64_t operation = 1; !has_ended; operation += 7) {
      MemoryFiles memory(disk);
      FaultyFiles dying(memory, {Fault::Kind::kCrash, operation});
      try {
        start_and_save(dying, scene);
        has_ended = true;
        ASSERT_EQ(
            std::count(dying.log().begin(), dying.log().end(), "create large model.safetensors"),
            1);
        ASSERT_EQ(std::count(dying.log().begin(), dying.log().end(),
                             "create large optimizer.safetensors"),
                  1);
      } catch (const SimulatedCrash&) {
      }
      const auto situation =
          "crash at operation " + std::to_string(operation) + ": " + dying.log().back();
      memory.crash(crash, static_cast<unsigned>(operation));
      const Found found = what_is_found(memory, scene);
      ASSERT_TRUE(is_allowed_after_a_crash(found, scene)) << situation;
      if (has_ended) ASSERT_EQ(found, Found::kNew) << situation << ": save() returned";
      (found == Found::kNew ? num_new : num_old)++;

      CheckpointWriter(memory, kCheckpoints, {scene.retention});  // the next start
      ASSERT_EQ(what_is_found(memory, scene), found) << situation;
      expect_tidy(memory, situation);
    }
  }
  EXPECT_GT(num_old, 20);
  EXPECT_GT(num_new, 6);
}

// All names with the bytes of the files: two equal states have one future.
std::string state_of(FileSystem& files, const Path& path) {
  const auto kind = files.kind(path);
  if (kind == FileKind::kLink) return path.string() + "->" + files.read_link(path) + "\n";
  if (kind != FileKind::kDirectory) return path.string() + ":" + read_text(files, path) + "\n";
  std::string state = path.string() + "/\n";
  for (const auto& name : files.list(path)) state += state_of(files, path / name);
  return state;
}

// The next start may die as well, while it clears up after the first crash.
TEST(CrashWhileClearingUp, LosesNothing) {
  const auto all = scenes();
  for (const Scene& scene : {all[2], all[4]}) {
    const MemoryFiles disk = prepared(scene);
    std::set<std::string> seen;
    bool has_ended = false;
    for (int64_t first = 1; !has_ended; ++first) {
      MemoryFiles crashed(disk);
      has_ended =
          !dies_at(crashed, first, [&](FileSystem& files) { start_and_save(files, scene); });
      crashed.crash(Crash::kKeepsAll);
      if (!seen.insert(state_of(crashed, kCheckpoints)).second) continue;
      const Found before = what_is_found(crashed, scene);
      bool is_cleared = false;
      for (int64_t second = 1; !is_cleared; ++second) {
        MemoryFiles memory(crashed);
        is_cleared = !dies_at(memory, second, [&](FileSystem& files) {
          CheckpointWriter writer(files, kCheckpoints, {scene.retention});
        });
        memory.crash(Crash::kLosesUnsynced);
        ASSERT_EQ(what_is_found(memory, scene), before)
            << scene.name << ": " << first << ", " << second;
      }
    }
    EXPECT_GT(seen.size(), 30u);
  }
}

// An operation that fails, but the process lives: the save says so and leaves nothing, or succeeds
// and says what it left.
TEST_P(ErrorDuringASave, LeavesTheOldCheckpointOrAWholeNewOne) {
  for (const auto& scene : scenes()) {
    const MemoryFiles disk = prepared(scene);
    for (const auto kind : {Fault::Kind::kError, Fault::Kind::kErrorFromHereOn}) {
      int64_t num_refused = 0;
      for (int64_t operation = 1;; ++operation) {
        MemoryFiles memory(disk);
        CheckpointWriter{memory, kCheckpoints, {scene.retention}};
        FaultyFiles failing(memory, {kind, operation, EIO});
        std::unique_ptr<CheckpointWriter> writer;
        std::string refused;
        try {
          writer = std::make_unique<CheckpointWriter>(failing, kCheckpoints,
                                                      WriterOptions{scene.retention});
          save(*writer, scene.saved, GetParam());
        } catch (const CheckpointError& error) {
          refused = error.what();
        }
        const auto situation =
            scene.name + ", error at operation " + std::to_string(operation) + ": " +
            failing.log()[std::min<size_t>(operation, failing.log().size()) - 1] + ": " + refused;
        if (!failing.has_struck()) break;
        const Found found = what_is_found(memory, scene);
        if (refused.empty()) {
          ASSERT_EQ(found, Found::kNew) << situation;
        } else {
          ++num_refused;
          ASSERT_TRUE(is_allowed_after_a_crash(found, scene)) << situation;
          EXPECT_THAT(refused, testing::HasSubstr("Input/output error")) << situation;
        }
        start_and_save(memory, scene);
        ASSERT_EQ(what_is_found(memory, scene), Found::kNew) << situation;
        expect_tidy(memory, situation);
      }
      EXPECT_GT(num_refused, 30) << scene.name;
    }
  }
}

// With one error the rest of the disk works: then no trace of the failed save is left.
TEST_P(ErrorDuringASave, LeavesNoTrace) {
  const Scene scene = scenes()[1];
  const MemoryFiles disk = prepared(scene);
  for (int64_t operation = 1;; ++operation) {
    MemoryFiles memory(disk);
    FaultyFiles failing(memory, {Fault::Kind::kError, operation, EIO});
    bool is_refused = false;
    try {
      CheckpointWriter writer(failing, kCheckpoints, {scene.retention});
      save(writer, scene.saved, GetParam());
    } catch (const CheckpointError&) {
      is_refused = true;
    }
    if (!failing.has_struck()) break;
    if (!is_refused) continue;
    EXPECT_THAT(memory.list(kCheckpoints),
                testing::ElementsAre("latest", "step-00000010", "step-00000020"))
        << failing.log()[operation - 1];
  }
}

TEST(FullDisk, IsSaidAndTheOlderCheckpointStaysWhereverItHappens) {
  const Scene scene = scenes()[1];
  const MemoryFiles disk = prepared(scene);
  int64_t num_refused = 0;
  for (uint64_t spare = 0;; spare += 256) {
    MemoryFiles memory(disk);
    CheckpointWriter writer(memory, kCheckpoints, {scene.retention});
    const uint64_t used = (uint64_t{1} << 40) - memory.free_space("/");
    memory.set_capacity(used + spare);
    memory.pretend_free_space(uint64_t{1} << 40);  // as where another user fills the disk meanwhile
    try {
      writer.save(scene.saved);
      break;
    } catch (const DiskFullError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr("the checkpoint of step 30 was not saved"));
      EXPECT_THAT(error.what(), testing::HasSubstr("No space left on device"));
    }
    ++num_refused;
    ASSERT_EQ(what_is_found(memory, scene), Found::kOld);
    EXPECT_THAT(memory.list(kCheckpoints),
                testing::ElementsAre("latest", "step-00000010", "step-00000020"));

    memory.set_capacity(uint64_t{1} << 40);  // space again: the same writer goes on
    writer.save(scene.saved);
    ASSERT_EQ(what_is_found(memory, scene), Found::kNew);
  }
  EXPECT_GT(num_refused, 20);
}

TEST(FullDisk, IsSeenBeforeAnythingIsWritten) {
  const Scene scene = scenes()[1];
  MemoryFiles memory = prepared(scene);
  FaultyFiles counting(memory);
  CheckpointWriter writer(counting, kCheckpoints, {scene.retention});
  memory.pretend_free_space(1000);
  EXPECT_THROW(writer.save(scene.saved), DiskFullError);
  EXPECT_THAT(counting.log(), testing::Not(testing::Contains(testing::StartsWith("create"))));
}

}  // namespace
}  // namespace triga::test
