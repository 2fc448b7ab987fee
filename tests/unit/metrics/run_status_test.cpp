#include "metrics/run_status.h"

#include <gmock/gmock.h>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;

TEST(RunStatus, IsReadAsItWasWritten) {
  const TemporaryFolder folder;
  const std::string path = folder / "status.json";
  EXPECT_FALSE(read_run_status(posix_files(), path));
  using State = RunStatus::State;
  for (const RunStatus& status :
       {RunStatus{State::kRunning, "", 3, std::nullopt},
        RunStatus{State::kFinished, "all 20 steps are done", 20, 0},
        RunStatus{State::kStopped, "SIGTERM", 7, 75},
        RunStatus{State::kFailed, "rank 1: \"lost\"\nat x", 7, 6},
        RunStatus{State::kFailed, "it crashed", 7, 1, "node1", "SIGSEGV"}}) {
    write_run_status(posix_files(), path, status);
    const auto read = read_run_status(posix_files(), path);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->state, status.state);
    EXPECT_EQ(read->cause, status.cause);
    EXPECT_EQ(read->step, status.step);
    EXPECT_EQ(read->exit_status, status.exit_status);
    EXPECT_EQ(read->host, status.host);
    EXPECT_EQ(read->signal, status.signal);
  }
}

TEST(RunStatus, HasTheKeysOfTheDesign) {
  const TemporaryFolder folder;
  write_run_status(
      posix_files(), folder / "status.json",
      {.state = RunStatus::State::kStopped, .cause = "SIGTERM", .step = 7, .exit_status = 75});
  EXPECT_EQ(read_text(posix_files(), folder / "status.json"),
            "{\n  \"state\": \"stopped\",\n  \"cause\": \"SIGTERM\",\n  \"step\": 7,\n  "
            "\"exit_status\": 75\n}\n");
}

TEST(RunStatus, ShowsWhatIsNotUtf8AsSuch) {
  const TemporaryFolder folder;
  const std::string path = folder / "status.json";
  write_run_status(posix_files(), path,
                   {.state = RunStatus::State::kFailed,
                    .cause = "cannot read /data/caf\xe9/a.txt, and a text cut inside of \xc3",
                    .step = 7,
                    .exit_status = 4,
                    .host = "node\xff"});
  const auto read = read_run_status(posix_files(), path);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->state, RunStatus::State::kFailed);
  EXPECT_EQ(read->cause,
            "cannot read /data/caf\xEF\xBF\xBD/a.txt, and a text cut inside of \xEF\xBF\xBD");
  EXPECT_EQ(read->host, "node\xEF\xBF\xBD");
}

TEST(RunStatus, IsNotThereInAFileThatALossOfPowerLeftEmptyOrCut) {
  const TemporaryFolder folder;
  for (const char* text : {"", "{\"state\": \"fai"})
    EXPECT_FALSE(read_run_status(posix_files(), folder.write("status.json", text))) << text;
}

TEST(RunStatus, SaysWhenAFileIsNone) {
  const TemporaryFolder folder;
  for (const char* text :
       {"{}", "[1]",
        "{\"state\": \"asleep\", \"cause\": \"\", \"step\": 1, \"exit_status\": null}"}) {
    const auto path = folder.write("status.json", text);
    EXPECT_THAT(test::message_of<Error>([&] { read_run_status(posix_files(), path); }),
                HasSubstr(path))
        << text;
  }
}

}  // namespace
}  // namespace triga
