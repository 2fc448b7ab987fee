#include "base/process_stat.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

TEST(ProcessStatTest, OfThisProcess) {
  const auto stat = read_process_stat(::getpid());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->parent, ::getppid());
  EXPECT_FALSE(stat->is_stopped());
  EXPECT_FALSE(stat->is_dead());
  EXPECT_GT(std::stoll(stat->start_ticks), 0);
}

TEST(ProcessStatTest, TellsStoppedDeadAndGone) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, WUNTRACED);
  EXPECT_TRUE(read_process_stat(child)->is_stopped());
  ::kill(child, SIGCONT);
  siginfo_t ended;
  ::waitid(P_PID, child, &ended, WEXITED | WNOWAIT);
  EXPECT_TRUE(read_process_stat(child)->is_dead());
  ::waitpid(child, &status, 0);
  EXPECT_FALSE(read_process_stat(child));
}

TEST(ProcessStatTest, OfANameWithBracketsAndSpaces) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "stat")
      << "17 (a) T (b) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 4242 23\n";
  const auto stat = read_process_stat(folder.path());
  ASSERT_TRUE(stat);
  EXPECT_EQ(stat->state, 'S');
  EXPECT_EQ(stat->parent, 4);
  EXPECT_EQ(stat->start_ticks, "4242");
}

TEST(ProcessStatTest, OfATornLineIsNothing) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "stat") << "17 (a) S 5 6\n";
  EXPECT_FALSE(read_process_stat(folder.path()));
}

}  // namespace
}  // namespace triga
