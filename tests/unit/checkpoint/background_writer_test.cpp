// Saves while training goes on: never two steps in one checkpoint, nothing visible before all ranks
// have written, and failures on all ranks.
#include "checkpoint/background_writer.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/host_buffers.h"
#include "checkpoint/reader.h"
#include "comm/local_communicator.h"
#include "tests/support/faulty_files.h"
#include "tests/support/local_ranks.h"
#include "tests/support/memory_files.h"
#include "tests/support/message_of.h"
#include "tests/support/no_more_threads.h"
#include "tests/support/small_snapshot.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::Fault;
using test::FaultyFiles;
using test::message_of;
using test::small_snapshot;
using test::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A disk on which nothing is written until it is let go.
class Gate {
 public:
  void wait() {
    std::unique_lock lock(mutex_);
    is_reached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return is_open_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    is_open_ = true;
    changed_.notify_all();
  }
  void await_somebody() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_reached_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_open_ = false, is_reached_ = false;
};

/// As the steps of a training do: votes are added up, and what they say is done. Returns the number
/// of steps until it is saved.
int64_t step_until_saved(BackgroundWriter& background, Communicator& ranks) {
  for (int64_t num_steps = 1;; ++num_steps) {
    double votes = background.vote();
    ranks.all_reduce_values({&votes, 1}, ReduceOp::kSum, "votes");
    if (background.advance(votes, ranks)) return num_steps;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(BackgroundWriter, WritesWhatWasWhenItStarted) {
  const TemporaryFolder run;
  Gate gate;
  FaultyFiles slow(posix_files());
  slow.before_each([&](const std::string& operation) {
    if (operation.starts_with("write")) gate.wait();
  });
  CheckpointWriter writer(slow, run.path() / "checkpoints", {});
  BackgroundWriter background(writer);
  const auto alone = make_single_communicator();

  Snapshot snapshot = small_snapshot(20);
  std::vector<at::Tensor> live;
  HostBuffers buffers;
  const auto copy = [&](TensorsByName& tensors, const std::string& prefix) {
    for (auto& [name, tensor] : tensors) {
      live.push_back(tensor);
      tensor = buffers.keep(prefix + name, tensor);
    }
  };
  copy(snapshot.weights[""], "weights ");
  copy(snapshot.training["optimizer"], "optimizer ");
  background.start(snapshot, *alone);
  gate.await_somebody();                             // the first file is open, nothing is in it
  for (at::Tensor& tensor : live) tensor.fill_(-1);  // training goes on
  EXPECT_TRUE(background.is_busy());
  EXPECT_EQ(background.step(), 20);
  EXPECT_EQ(background.vote(), 0);
  EXPECT_FALSE(background.advance(0, *alone));
  EXPECT_EQ(find_checkpoint(posix_files(), run.path()).directory, std::nullopt);
  EXPECT_THAT(message_of<Error>([&] { background.start(small_snapshot(21), *alone); }),
              HasSubstr("two checkpoints at once: steps 20 and 21"));
  gate.open();
  step_until_saved(background, *alone);
  EXPECT_FALSE(background.is_busy());
  EXPECT_EQ(background.vote(), 0);

  const auto found = find_checkpoint(posix_files(), run.path());
  ASSERT_EQ(found.directory, run.path() / "checkpoints" / "step-00000020");
  const Checkpoint checkpoint(posix_files(), *found.directory);
  const Snapshot expected = small_snapshot(20);
  for (const auto& [name, tensor] : expected.weights.at(""))
    EXPECT_TRUE(checkpoint.weights({}).read(name).equal(tensor)) << name;
  for (const auto& [name, tensor] : expected.training.at("optimizer"))
    EXPECT_TRUE(checkpoint.training("optimizer").read(name).equal(tensor)) << name;
}

TEST(BackgroundWriter, ShowsNothingBeforeEveryRankHasWritten) {
  const TemporaryFolder run;
  Gate gate;
  testing::run_ranks(3, [&](Communicator& world) {
    FaultyFiles slow(posix_files());
    if (world.rank() == 2)
      slow.before_each([&](const std::string& operation) {
        if (operation.starts_with("write")) gate.wait();
      });
    CheckpointWriter writer(slow, run.path() / "checkpoints", {}, world.rank() == 0);
    BackgroundWriter background(writer);
    Snapshot snapshot = small_snapshot(20);
    snapshot.weights.clear();
    snapshot.training.clear();
    snapshot.weights[""][c10::str("w", world.rank())] = at::full({4}, world.rank(), at::kFloat);
    background.start(snapshot, world);
    while (world.rank() < 2 && background.vote() == 0)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (int step = 0; step < 20; ++step) {  // two ranks have written, one cannot
      double votes = background.vote();
      world.all_reduce_values({&votes, 1}, ReduceOp::kSum, "votes");
      EXPECT_FALSE(background.advance(votes, world));
      EXPECT_EQ(votes, 2);
    }
    EXPECT_EQ(find_checkpoint(posix_files(), run.path()).directory, std::nullopt);
    world.barrier("looked");
    gate.open();
    step_until_saved(background, world);
    EXPECT_TRUE(find_checkpoint(posix_files(), run.path()).directory);  // on every rank at once
  });
  const Checkpoint checkpoint(posix_files(), run.path() / "checkpoints" / "latest");
  for (int rank = 0; rank < 3; ++rank)
    EXPECT_TRUE(
        checkpoint.weights({}).read(c10::str("w", rank)).equal(at::full({4}, rank, at::kFloat)));
}

TEST(BackgroundWriter, FailsOnEveryRankAndTheNextSaveIsWhole) {
  const TemporaryFolder run;
  testing::run_ranks(2, [&](Communicator& world) {
    std::atomic<bool> is_broken = world.rank() == 1;
    FaultyFiles files(posix_files());
    files.before_each([&](const std::string& operation) {
      if (is_broken && operation.starts_with("write")) throw FileError("write", "w1", EIO);
    });
    CheckpointWriter writer(files, run.path() / "checkpoints", {}, world.rank() == 0);
    BackgroundWriter background(writer);
    Snapshot snapshot = small_snapshot(20);
    snapshot.weights[""].clear();
    snapshot.training.clear();
    snapshot.weights[""][c10::str("w", world.rank())] = at::ones({4});
    background.start(snapshot, world);
    EXPECT_THAT(message_of<CheckpointError>([&] { step_until_saved(background, world); }),
                HasSubstr("the checkpoint of step 20 was not saved; older ones are as they were: "
                          "cannot write w1: Input/output error"));
    EXPECT_FALSE(background.is_busy());
    world.barrier("failed");
    EXPECT_THAT(posix_files().list(run.path() / "checkpoints"), ::testing::IsEmpty());
    world.barrier("looked");
    is_broken = false;
    snapshot.state.step = 30;
    background.start(snapshot, world);
    background.finish(world);  // waits in place of steps
  });
  EXPECT_EQ(find_checkpoint(posix_files(), run.path()).directory,
            run.path() / "checkpoints" / "step-00000030");
}

TEST(BackgroundWriter, WritesWhereNoThreadCanBeStarted) {
  const TemporaryFolder run;
  const auto alone = make_single_communicator();
  CheckpointWriter writer(posix_files(), run.path() / "checkpoints", {});
  BackgroundWriter background(writer);
  const Snapshot snapshot = small_snapshot(20);
  {
    const test::NoMoreThreads none;
    background.start(snapshot, *alone);
    EXPECT_EQ(background.vote(), 1) << "training has waited for it";
    EXPECT_EQ(step_until_saved(background, *alone), 2);
  }
  EXPECT_TRUE(find_checkpoint(posix_files(), run.path()).directory);
}

TEST(BackgroundWriter, DestroyedInTheMiddleLeavesADraftThatTheNextStartClears) {
  const TemporaryFolder run;
  const Path checkpoints = run.path() / "checkpoints";
  {
    CheckpointWriter writer(posix_files(), checkpoints, {});
    BackgroundWriter background(writer);
    background.start(small_snapshot(20), *make_single_communicator());
  }
  EXPECT_THAT(posix_files().list(checkpoints), ElementsAre("step-00000020.tmp"));
  const CheckpointWriter writer(posix_files(), checkpoints, {});
  EXPECT_THAT(posix_files().list(checkpoints), ::testing::IsEmpty());
}

TEST(RemoveAfter, LeavesWhatIsOlderAndPointsTheLinks) {
  const TemporaryFolder run;
  const Path checkpoints = run.path() / "checkpoints";
  Retention retention{5, KeepBest{"loss", /*maximize=*/false, 1}};
  CheckpointWriter writer(posix_files(), checkpoints, {retention});
  for (const int64_t step : {10, 20, 30, 40})
    writer.save(small_snapshot(step, {{"loss", 100.0 - static_cast<double>(step)}}));
  writer.remove_after(20);
  EXPECT_THAT(posix_files().list(checkpoints),
              ElementsAre("best", "latest", "step-00000010", "step-00000020"));
  EXPECT_EQ(posix_files().read_link(checkpoints / "latest"), "step-00000020");
  EXPECT_EQ(posix_files().read_link(checkpoints / "best"), "step-00000020");
  EXPECT_EQ(find_checkpoint(posix_files(), run.path(), 20).directory,
            checkpoints / "step-00000010");
  EXPECT_EQ(find_checkpoint(posix_files(), run.path(), 10).directory, std::nullopt);
}

}  // namespace
}  // namespace triga
