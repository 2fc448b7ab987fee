// Situations before a save, and what may be found after one that was interrupted.
#pragma once

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checkpoint/background_writer.h"
#include "checkpoint/layout.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "comm/local_communicator.h"
#include "tests/support/memory_files.h"
#include "tests/support/small_snapshot.h"

namespace triga::test {

inline const Path kRun = "/run";
inline const Path kCheckpoints = "/run/checkpoints";

// A situation before a save, and the save.
struct Scene {
  std::string name;
  std::vector<Snapshot> before;
  Snapshot saved;
  Retention retention;
};

// Retention that deletes both by age and by value.
inline Retention last_one_and_best() {
  return {1, KeepBest{"loss", /*maximize=*/false, 1}};
}

inline Scene removes_two() {
  return {"removes two",
          {small_snapshot(10, {{"loss", 3}}), small_snapshot(20, {{"loss", 4}})},
          small_snapshot(30, {{"loss", 2}}),
          last_one_and_best()};
}

inline Scene replaces_the_newest() {
  Snapshot changed = small_snapshot(20, {{"loss", 2.5}});
  changed.weights[""]["ln.bias"] += 100;
  return {"replaces the newest",
          {small_snapshot(10, {{"loss", 3}}), small_snapshot(20, {{"loss", 4}})},
          changed,
          {}};
}

// The disk before the start of the run that saves.
inline MemoryFiles prepared(const Scene& scene) {
  MemoryFiles files;
  files.make_directory(kRun);
  files.sync_directory("/");
  if (scene.before.empty()) return files;
  Retention all;
  all.keep_last = 10;
  CheckpointWriter writer(files, kCheckpoints, {all});
  for (const auto& snapshot : scene.before) writer.save(snapshot);
  return files;
}

enum class Way { kWaiting, kInBackground };

inline void save(CheckpointWriter& writer, const Snapshot& snapshot, Way way, Communicator& ranks) {
  if (way == Way::kWaiting) {
    writer.save(snapshot, ranks);
    return;
  }
  BackgroundWriter background(writer);
  background.start(snapshot, ranks);
  background.finish(ranks);
}

// Of one rank alone.
inline void save(CheckpointWriter& writer, const Snapshot& snapshot, Way way) {
  const auto alone = make_single_communicator();
  save(writer, snapshot, way, *alone);
}

// A start of the run, and its save.
inline void start_and_save(FileSystem& files, const Scene& scene, Way way = Way::kWaiting) {
  CheckpointWriter writer(files, kCheckpoints, {scene.retention});
  save(writer, scene.saved, way);
}

// Reads everything through the names that a training run uses.
inline bool holds(FileSystem& files, const Path& directory, const Snapshot& snapshot) {
  const Checkpoint checkpoint(files, directory);
  if (!(checkpoint.state() == snapshot.state) ||
      checkpoint.text("tokenizer.json") != snapshot.files.at("tokenizer.json"))
    return false;
  const auto weights = checkpoint.weights({});
  for (const auto& [name, tensor] : snapshot.weights.at(""))
    if (!weights.read(name).equal(tensor)) return false;
  const auto optimizer = checkpoint.training("optimizer");
  for (const auto& [name, tensor] : snapshot.training.at("optimizer"))
    if (!optimizer.read(name).equal(tensor)) return false;
  return true;
}

enum class Found { kNothing, kOld, kNew, kSomethingElse };

// What a search finds: the checkpoint that was newest before the save, the saved one, or what must
// not be.
inline Found what_is_found(FileSystem& files, const Scene& scene) {
  const auto search = find_checkpoint(files, kRun);
  EXPECT_THAT(search.passed_over, ::testing::IsEmpty());
  if (!search.directory) return Found::kNothing;
  if (holds(files, *search.directory, scene.saved)) return Found::kNew;
  return !scene.before.empty() && holds(files, *search.directory, scene.before.back())
             ? Found::kOld
             : Found::kSomethingElse;
}

inline bool is_allowed_after_a_crash(Found found, const Scene& scene) {
  return found == Found::kNew || found == (scene.before.empty() ? Found::kNothing : Found::kOld);
}

inline void expect_tidy(FileSystem& files, const std::string& situation) {
  for (const auto& name : files.list(kCheckpoints)) {
    const bool is_link = name == kLatestLink || name == kBestLink;
    EXPECT_TRUE(is_link || step_of(name)) << situation << ": " << name << " was left";
    if (is_link)
      EXPECT_TRUE(verify_checkpoint(files, kCheckpoints / name).empty())
          << situation << ": " << name;
  }
  EXPECT_TRUE(exists(files, kCheckpoints / kLatestLink)) << situation;
}

// A crash at a read leaves the disk as a crash at the change after it.
inline bool is_change(const std::string& operation) {
  for (const char* read : {"open", "look at", "size", "list", "read", "free space"})
    if (operation.starts_with(read)) return false;
  return true;
}

struct Power {
  Crash crash;
  unsigned seed;
};

inline std::vector<Power> powers() {
  std::vector<Power> powers = {{Crash::kKeepsAll, 0}, {Crash::kLosesUnsynced, 0}};
  for (unsigned seed = 1; seed <= 3; ++seed) powers.push_back({Crash::kTears, seed});
  return powers;
}

}  // namespace triga::test
