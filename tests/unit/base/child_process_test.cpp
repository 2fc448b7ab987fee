#include "base/child_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "base/process_stat.h"
#include "tests/support/temporary_folder.h"
#include "triga/error.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ThrowsMessage;
using Streams = ChildProcess::Streams;

auto in(std::chrono::nanoseconds duration) {
  return std::chrono::steady_clock::now() + duration;
}
bool ends(int64_t pid) {
  for (int i = 0; i < 200; ++i) {
    const auto stat = read_process_stat(pid);
    if (!stat || stat->is_dead()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

TEST(ChildProcessTest, GivesStatusAndOutput) {
  ChildProcess child({"/bin/sh", "-c", "echo a; echo b >&2; cat; exit 3"}, Streams::kPipe);
  const auto outcome = child.wait(in(seconds(20)));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_EQ(WEXITSTATUS(outcome.wait_status), 3);
  EXPECT_EQ(outcome.output, "a\nb\n");
  EXPECT_EQ(child.wait_status(), outcome.wait_status);
}

TEST(ChildProcessTest, KeepsTheEndOfALongOutput) {
  ChildProcess child({"/bin/sh", "-c", "seq 100000; echo end"}, Streams::kPipe, 10);
  EXPECT_EQ(child.wait(in(seconds(20))).output, "00000\nend\n");
}

TEST(ChildProcessTest, IsGivenUpAndEndsWithItsGroup) {
  const test::TemporaryFolder folder;
  const std::string file = folder / "inner";
  int64_t inner = 0;
  {
    ChildProcess child({"/bin/sh", "-c", "sleep 100 & echo $! > " + file + "; wait"},
                       Streams::kNone);
    EXPECT_TRUE(child.wait(in(milliseconds(300))).timed_out);
    EXPECT_FALSE(child.wait_status());
    std::ifstream(file) >> inner;
    ASSERT_GT(inner, 0);
    EXPECT_EQ(living_children(child.pid()).size(), 1U);
  }
  EXPECT_TRUE(ends(inner));
}

TEST(ChildProcessTest, MayCloseItsOutputAndStay) {
  ChildProcess child({"/bin/sh", "-c", "exec >&- 2>&-; exec sleep 100"}, Streams::kPipe);
  EXPECT_TRUE(child.wait(in(milliseconds(200))).timed_out);
}

TEST(ChildProcessTest, ThatIsNotThereIsAnError) {
  EXPECT_THAT([] { ChildProcess({"/nowhere/at/all"}, Streams::kPipe); },
              ThrowsMessage<Error>("cannot start /nowhere/at/all: No such file or directory"));
}

TEST(ChildProcessTest, OthersAreKilledByNumberAndStart) {
  ChildProcess child({"/bin/sleep", "100"}, Streams::kNone);
  kill_all({{child.pid(), "another start"}});
  EXPECT_FALSE(child.wait_status());
  kill_all({{child.pid(), read_process_stat(child.pid())->start_ticks}});
  EXPECT_EQ(WTERMSIG(child.wait(in(seconds(20))).wait_status), SIGKILL);
}

}  // namespace
}  // namespace triga
