#include "launchers/host_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/process_stat.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class HostPoolTest : public testing::Test {
 protected:
  HostPool make(const std::vector<std::string>& hosts) {
    return {parse_hosts(hosts),
            [this](const std::vector<std::string>& asked) {
              std::vector<bool> answers;
              for (const auto& host : asked) answers.push_back(host != silent_);
              return answers;
            },
            out_};
  }

  std::string silent_;
  std::ostringstream out_;
};

TEST_F(HostPoolTest, LeavesOutWhereRunsEndedAgainAndAgain) {
  HostPool pool = make({"node1", "node2.example.org", "10.0.0.3"});
  EXPECT_FALSE(pool.ended_on("node2"));
  pool.ended_on("");
  pool.ended_on("");
  pool.ended_on("10.0.0.4");
  pool.ended_on("10.0.0.5");
  EXPECT_FALSE(pool.ended_on("10.0.0.5")) << "it is not one of them";
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("node1", "node2.example.org", "10.0.0.3"));
  EXPECT_EQ(out_.str(), "");
  EXPECT_TRUE(pool.ended_on("node2.example.org"));
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("node1", "10.0.0.3"));
  EXPECT_THAT(out_.str(),
              HasSubstr("host node2.example.org is left out: the run ended on it 2 times"));
}

TEST_F(HostPoolTest, LeavesOutWhatDoesNotAnswer) {
  HostPool pool = make({"node1", "node2"});
  silent_ = "node1";
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("node2"));
  EXPECT_EQ(out_.str(), "triga: host node1 is left out: it does not answer\n");
  silent_ = "";  // it is back
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("node1", "node2"));
}

bool never() {
  return false;
}

/// Stands in for mpirun: "script --host NAME -n 1 true".
TEST(CanStartOn, AsksAllAtOnceAndNotForEver) {
  const test::TemporaryFolder folder;
  const std::string script = folder / "mpirun";
  std::ofstream(script)
      << "case $3 in good) exec \"$6\";; bad) exit 1;; *) setsid sleep 100 & echo $! > "
      << folder / "ssh"
      << "; wait;; esac\n";
  const auto start = std::chrono::steady_clock::now();
  const std::vector<bool> answers =
      can_start_on({"good", "hangs", "bad", "good", "hangs"}, {"/bin/sh", script, "-x"}, never,
                   std::chrono::milliseconds(500));
  EXPECT_THAT(answers, ElementsAre(true, false, false, true, false));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  int64_t ssh = 0;
  std::ifstream(folder / "ssh") >> ssh;
  ASSERT_GT(ssh, 0);
  for (int i = 0; i < 100 && read_process_stat(ssh) && !read_process_stat(ssh)->is_dead(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(!read_process_stat(ssh) || read_process_stat(ssh)->is_dead()) << "ended with mpirun";
  EXPECT_THAT(can_start_on({"hangs"}, {"/bin/sh", script, "-x"}, [] { return true; }),
              ElementsAre(false))
      << "a signal ends the wait";
  EXPECT_THAT(can_start_on({"a"}, {folder / "is_not_there"}, never), ElementsAre(false));
}

}  // namespace
}  // namespace triga
