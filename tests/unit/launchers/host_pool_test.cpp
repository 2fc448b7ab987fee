#include "launchers/host_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "base/process_stat.h"
#include "comm/host.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class HostPoolTest : public testing::Test {
 protected:
  HostPool make(const std::vector<std::string>& hosts) {
    return {parse_hosts(hosts),
            [this](const std::vector<std::string>& asked) {
              std::vector<std::optional<std::string>> answers;
              for (const auto& host : asked) {
                answers.emplace_back(own_names_[host]);
                if (host == silent_) answers.back().reset();
              }
              return answers;
            },
            out_};
  }

  std::string silent_;
  std::map<std::string, std::string> own_names_;  // else they do not say it
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

TEST_F(HostPoolTest, TellsWhichOfItsHostsAreSilent) {
  HostPool pool = make({"node1", "node2", "node3"});
  silent_ = "node2";
  EXPECT_THAT(pool.silent(parse_hosts({"node1", "node2"})), ElementsAre("node2"));
  EXPECT_EQ(out_.str(), "");
}

TEST_F(HostPoolTest, KnowsAHostByWhatItCallsItselfOnceItWasAsked) {
  HostPool pool = make({"10.0.0.3", "10.0.0.4", "gpu1", "node5"});
  own_names_ = {{"10.0.0.3", "node3"}, {"10.0.0.4", "node4.example.org"}, {"gpu1", "node17"}};
  EXPECT_FALSE(pool.ended_on("node3"));
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("10.0.0.3", "10.0.0.4", "gpu1", "node5"));
  EXPECT_TRUE(pool.ended_on("node3")) << "the first time, too, it was this one";
  EXPECT_FALSE(pool.ended_on("10.0.0.4")) << "as mpirun calls it";
  EXPECT_TRUE(pool.ended_on("node4")) << "without its domain";
  EXPECT_FALSE(pool.ended_on("node17"));
  EXPECT_TRUE(pool.ended_on("gpu1"));
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("node5"));
  EXPECT_THAT(out_.str(), HasSubstr("host 10.0.0.3 is left out: the run ended on it 2 times"));
}

TEST_F(HostPoolTest, LeavesNoneOutWhereSeveralCouldBeMeant) {
  HostPool pool = make({"a.one.org", "a.two.org", "10.0.0.1", "10.0.0.2"});
  own_names_ = {{"10.0.0.1", "localhost"}, {"10.0.0.2", "localhost"}};
  pool.usable();
  for (const char* name : {"a", "a", "localhost", "localhost"})
    EXPECT_FALSE(pool.ended_on(name)) << name;
  EXPECT_THAT(pool.usable(), SizeIs(4));
  EXPECT_FALSE(pool.ended_on("a.two.org"));
  EXPECT_TRUE(pool.ended_on("a.two.org"));
  EXPECT_THAT(names_of(pool.usable()), ElementsAre("a.one.org", "10.0.0.1", "10.0.0.2"));
}

bool never() {
  return false;
}

/// Stands in for mpirun: "script -x --host NAME -n 1 PROGRAM...".
TEST(AskHosts, AsksAllAtOnceAndNotForEver) {
  const test::TemporaryFolder folder;
  const std::string script = folder / "mpirun";
  std::ofstream(script)
      << "case $3 in good) echo a warning >&2; shift 5; exec \"$@\";; bad) exit 1;; "
         "nameless) exit 0;; *) setsid sleep 100 & echo $! > "
      << folder / "ssh"
      << "; wait;; esac\n";
  const auto start = std::chrono::steady_clock::now();
  const auto answers = ask_hosts({"good", "hangs", "bad", "nameless", "hangs"},
                                 {"/bin/sh", script, "-x"}, never, std::chrono::milliseconds(500));
  const std::vector<std::optional<std::string>> expected = {host_name(), std::nullopt, std::nullopt,
                                                            "", std::nullopt};
  EXPECT_EQ(answers, expected);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  int64_t ssh = 0;
  std::ifstream(folder / "ssh") >> ssh;
  ASSERT_GT(ssh, 0);
  for (int i = 0; i < 100 && read_process_stat(ssh) && !read_process_stat(ssh)->is_dead(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_TRUE(!read_process_stat(ssh) || read_process_stat(ssh)->is_dead()) << "ended with mpirun";
  EXPECT_FALSE(
      ask_hosts({"hangs"}, {"/bin/sh", script, "-x"}, [] { return true; }).at(0).has_value())
      << "a signal ends the wait";
  EXPECT_FALSE(ask_hosts({"a"}, {folder / "is_not_there"}, never).at(0).has_value());
}

}  // namespace
}  // namespace triga
