// One of two ranks dies in a save, at every change of the disk that it makes, and the other lives:
// it notices, and the newest whole checkpoint is found.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <exception>
#include <functional>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/faulty_files.h"
#include "tests/support/local_ranks.h"
#include "tests/support/message_of.h"
#include "tests/unit/checkpoint/crash_scenes.h"

namespace triga::test {
namespace {

// Tensors in turn; of rank 0 also what is not a tensor.
Snapshot part_of(Snapshot whole, int rank) {
  for (auto* sets : {&whole.weights, &whole.training})
    for (auto& [name, tensors] : *sets) {
      int turn = 0;
      std::erase_if(tensors, [&](const auto&) { return turn++ % 2 != rank; });
    }
  return whole;
}

// A start of the run on two ranks, each with its own FaultyFiles, and its save. Returns what each
// threw, by rank; of one that died the other is told, as by the system.
std::vector<std::exception_ptr> start_and_save_on_two(FaultyFiles& first, FaultyFiles& second,
                                                      const Scene& scene, Way way) {
  return testing::run_ranks_catching(2, [&](Communicator& world) {
    try {
      CheckpointWriter writer(world.rank() == 0 ? first : second, kCheckpoints, {scene.retention},
                              /*is_first=*/world.rank() == 0);
      save(writer, part_of(scene.saved, world.rank()), way, world);
    } catch (const SimulatedCrash&) {
      throw Error("killed");
    }
  });
}

// A rank that dies, and what becomes of the disk then.
struct Death {
  const Scene* scene;
  const MemoryFiles* disk;  // before the save
  Way way;
  int rank;
  int64_t operation;
  Crash crash;

  std::string in_words() const {
    return scene->name + (way == Way::kWaiting ? "" : ", in the background") + ", rank " +
           std::to_string(rank) + " dies at operation " + std::to_string(operation);
  }
};

// One at every change that a rank makes in a save that nothing happens to.
std::vector<Death> deaths_of(const Scene& scene, const MemoryFiles& disk, Way way) {
  MemoryFiles memory(disk);
  FaultyFiles first(memory), second(memory);
  for (const auto& error : start_and_save_on_two(first, second, scene, way)) EXPECT_FALSE(error);
  EXPECT_EQ(what_is_found(memory, scene), Found::kNew);
  std::vector<Death> deaths;
  for (const int rank : {0, 1}) {
    const auto& log = (rank == 0 ? first : second).log();
    for (size_t i = 0; i < log.size(); ++i)
      if (is_change(log[i]))
        for (const Crash crash : {Crash::kKeepsAll, Crash::kLosesUnsynced})
          deaths.push_back({&scene, &disk, way, rank, static_cast<int64_t>(i) + 1, crash});
  }
  return deaths;
}

// Returns what a search finds after it.
Found die(const Death& death) {
  const Scene& scene = *death.scene;
  const Fault fault{Fault::Kind::kCrash, death.operation};
  MemoryFiles memory(*death.disk);
  FaultyFiles first(memory, death.rank == 0 ? fault : Fault{});
  FaultyFiles second(memory, death.rank == 1 ? fault : Fault{});
  const auto errors = start_and_save_on_two(first, second, scene, death.way);
  const std::string situation =
      death.in_words() + ": " + (death.rank == 0 ? first : second).log().back();
  EXPECT_TRUE((death.rank == 0 ? first : second).has_struck()) << situation;
  if (const auto& noticed = errors[death.rank == 0 ? 1 : 0]) {
    EXPECT_THAT(message_of<CommError>([&] { std::rethrow_exception(noticed); }),
                ::testing::HasSubstr("killed"))
        << situation;
  } else {
    ADD_FAILURE() << situation << ": the other rank noticed nothing";
  }
  memory.crash(death.crash);
  const Found found = what_is_found(memory, scene);
  EXPECT_TRUE(is_allowed_after_a_crash(found, scene)) << situation;

  start_and_save(memory, scene);  // the next start, on one rank
  EXPECT_EQ(what_is_found(memory, scene), Found::kNew) << situation;
  expect_tidy(memory, situation);
  return found;
}

// The rank that lives notices when it looks, after 50 ms: many at once spend them together.
void run_at_once(size_t num_actions, const std::function<void(size_t)>& action) {
  std::atomic<size_t> next = 0;
  std::vector<std::future<void>> threads;
  for (int i = 0; i < 16; ++i)
    threads.push_back(std::async(std::launch::async, [&] {
      for (size_t at = next++; at < num_actions; at = next++) action(at);
    }));
  for (auto& thread : threads) thread.get();
}

TEST(DeathOfARankDuringASave, LeavesTheOldOrTheNewCheckpointAndTheNextStartGoesOn) {
  const std::vector<Scene> scenes = {removes_two(), replaces_the_newest()};
  const std::vector<MemoryFiles> disks = {prepared(scenes[0]), prepared(scenes[1])};
  std::vector<Death> deaths;
  for (size_t i = 0; i < scenes.size(); ++i)
    for (const Way way : {Way::kWaiting, Way::kInBackground})
      for (const Death& death : deaths_of(scenes[i], disks[i], way)) deaths.push_back(death);
  std::atomic<int> num_old = 0, num_new = 0, num_of_second = 0;
  run_at_once(deaths.size(), [&](size_t i) {
    const Found found = die(deaths[i]);
    ++(found == Found::kNew ? num_new : num_old);
    if (deaths[i].rank == 0) return;
    ++num_of_second;
    EXPECT_EQ(found, Found::kOld) << deaths[i].in_words() << ": visible before all have written";
  });
  EXPECT_GT(num_old, 200);
  EXPECT_GT(num_new, 50);
  EXPECT_GT(num_of_second, 80);
}

}  // namespace
}  // namespace triga::test
