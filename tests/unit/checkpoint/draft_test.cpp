// Drafts of several starts of a run: ranks of a start whose first rank died may go on writing, by
// path, while the next start makes the same checkpoint.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/layout.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "tests/support/faulty_files.h"
#include "tests/support/local_ranks.h"
#include "tests/support/small_snapshot.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::small_snapshot;
using test::TemporaryFolder;
using ::testing::ElementsAre;

WriterOptions options_of(const std::string& start) {
  WriterOptions options;
  options.start = start;
  return options;
}

CheckpointPart part(const std::string& text) {
  CheckpointPart part;
  part.path = "training/state.json";
  part.text = text;
  return part;
}

TEST(DraftName, IsKnownAsOneOfAnyStart) {
  EXPECT_EQ(draft_name(500, "9f31c2aa"), "step-00000500.9f31c2aa.tmp");
  EXPECT_EQ(draft_name(500, ""), "step-00000500.tmp");
  for (const char* start : {"", "0", "9f31c2aa"})
    EXPECT_EQ(step_of_draft(draft_name(500, start)), 500) << start;
  for (const char* other : {"step-00000500", "step-00000500..tmp", "step-00000500.mine.tmp",
                            "step-500.9f.tmp", "step-00000500.9f", "9f.tmp"})
    EXPECT_EQ(step_of_draft(other), std::nullopt) << other;
}

TEST(Draft, IsNotTouchedByRanksOfAnEarlierStart) {
  const TemporaryFolder run;
  const Path checkpoints = run.path() / "checkpoints";
  CheckpointWriter(posix_files(), checkpoints, options_of("0a"));
  CheckpointDraft earlier(posix_files(), checkpoints, 20, "0a");
  earlier.begin();
  earlier.write(part("of the earlier start"));

  CheckpointWriter(posix_files(), checkpoints, options_of("0b"));
  EXPECT_THAT(posix_files().list(checkpoints), ElementsAre()) << "the old draft is removed";
  CheckpointDraft later(posix_files(), checkpoints, 20, "0b");
  later.begin();
  const FileRecord record = later.write(part("of the later start"));
  EXPECT_THROW(earlier.write(part("of the earlier start")), FileError) << "its folder is gone";
  later.commit({20, {}, {}, {record}});
  EXPECT_THAT(verify_checkpoint(posix_files(), checkpoints / "step-00000020"), ElementsAre());
  EXPECT_THAT(posix_files().list(checkpoints), ElementsAre("step-00000020"));
}

TEST(Draft, HasTheNameOfTheFirstRanksStartOnAllRanks) {
  const TemporaryFolder run;
  testing::run_ranks(2, [&](Communicator& world) {
    test::FaultyFiles files(posix_files());
    std::vector<std::string> made;
    files.before_each([&](const std::string& operation) {
      if (operation.starts_with("rename step-") && operation.ends_with(".tmp"))
        made.push_back(operation);
    });
    CheckpointWriter writer(files, run.path() / "checkpoints",
                            options_of(world.rank() == 0 ? "0c" : ""), world.rank() == 0);
    Snapshot snapshot = small_snapshot(20);
    snapshot.training.clear();
    snapshot.weights[""] = {{c10::str("w", world.rank()), at::ones({2})}};
    writer.save(snapshot, world);
    if (world.rank() == 0) EXPECT_THAT(made, ElementsAre("rename step-00000020.0c.tmp"));
  });
  EXPECT_THAT(verify_checkpoint(posix_files(), run.path() / "checkpoints" / "step-00000020"),
              ElementsAre());
}

}  // namespace
}  // namespace triga
