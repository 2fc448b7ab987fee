#include "base/oom_kills.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

class OomKillsTest : public ::testing::Test {
 protected:
  void set_host(int64_t kills) {
    root_.write("proc/vmstat", "nr_free_pages 17\noom_kill " + std::to_string(kills) + "\n");
  }
  void set_version2(const std::string& group, int64_t kills, const std::string& limit) {
    root_.write("sys/fs/cgroup" + group + "/memory.events",
                "low 0\nmax 9\noom 1\noom_kill " + std::to_string(kills) + "\noom_group_kill 0\n");
    root_.write("sys/fs/cgroup" + group + "/memory.max", limit + "\n");
  }

  static std::string name_of(const OomKills& kills) {
    const auto killer = kills.lately();
    return killer ? killer->name : "nobody";
  }

  const test::TemporaryFolder root_;
};

TEST_F(OomKillsTest, OfBeforeDoNotCount) {
  root_.write("proc/self/cgroup", "0::/job\n");
  set_version2("/job", 5, "1048576");
  set_host(9);
  const OomKills kills(root_.path().string());
  EXPECT_EQ(kills.lately(), std::nullopt);
}

TEST_F(OomKillsTest, NameTheSmallestGroupWithALimit) {
  root_.write("proc/self/cgroup", "0::/job/step/task\n");
  set_version2("/job/step/task", 0, "max");
  set_version2("/job/step", 0, "2097152");
  set_version2("/job", 3, "4194304");
  set_host(3);
  const OomKills kills(root_.path().string());
  set_version2("/job/step/task", 1, "max");
  set_version2("/job/step", 1, "2097152");
  set_version2("/job", 4, "4194304");
  set_host(4);
  EXPECT_EQ(name_of(kills), "the out-of-memory killer of control group /job/step (limit 2.0 MB)");
}

TEST_F(OomKillsTest, OfVersion1StandInAnotherFile) {
  root_.write("proc/self/cgroup", "4:memory:/old\n");
  const std::string control = "sys/fs/cgroup/memory/old/memory.oom_control";
  root_.write("sys/fs/cgroup/memory/old/memory.limit_in_bytes", "3145728\n");
  root_.write(control, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  const OomKills kills(root_.path().string());
  root_.write(control, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
  EXPECT_EQ(name_of(kills), "the out-of-memory killer of control group /memory/old (limit 3.0 MB)");
}

TEST_F(OomKillsTest, OfNoGroupAreTheHosts) {
  set_host(1);
  const OomKills kills(root_.path().string());
  set_host(2);
  EXPECT_EQ(name_of(kills),
            "the out-of-memory killer of this host, which has too little memory for all that runs");
}

TEST_F(OomKillsTest, OfDaysAgoDoNotExplainADeathOfToday) {
  const auto start = OomKills::Clock::now();
  set_host(1);
  OomKills kills(root_.path().string());
  set_host(2);
  for (int second = 1; second <= 30; ++second) kills.sample(start + std::chrono::seconds(second));
  EXPECT_EQ(kills.lately(), std::nullopt);
  set_host(3);
  for (int second = 31; second <= 35; ++second) kills.sample(start + std::chrono::seconds(second));
  EXPECT_NE(kills.lately(), std::nullopt) << "a large process takes a while to end";
}

TEST_F(OomKillsTest, ExplainADeathUntilAllThatFollowItHaveEnded) {
  const auto start = OomKills::Clock::now();
  const auto at = [&](int second) { return start + std::chrono::seconds(second); };
  set_host(1);
  OomKills kills(root_.path().string());
  for (int second = 1; second <= 20; ++second) kills.sample_beside(2, at(second));
  set_host(2);
  for (int second = 21; second <= 25; ++second) kills.sample_beside(2, at(second));
  for (int second = 26; second <= 80; ++second) kills.sample_beside(1, at(second));
  EXPECT_NE(kills.lately(), std::nullopt) << "the last one takes a minute to end";
  for (int second = 81; second <= 140; ++second) kills.sample_beside(1, at(second));
  EXPECT_EQ(kills.lately(), std::nullopt) << "nothing came of it";
}

TEST_F(OomKillsTest, AreOursOnlyInAGroupWithALimit) {
  root_.write("proc/self/cgroup", "0::/job\n");
  set_version2("/job", 0, "max");
  set_host(0);
  const OomKills kills(root_.path().string());
  set_host(1);
  EXPECT_FALSE(kills.lately().value().is_ours) << "of anybody on the host";
  set_version2("/job", 1, "max");
  EXPECT_FALSE(kills.lately().value().is_ours) << "the host's memory was short";
  set_version2("/job", 1, "1048576");
  EXPECT_TRUE(kills.lately().value().is_ours);
}

TEST_F(OomKillsTest, WithoutCountersAreNotKnown) {
  EXPECT_EQ(OomKills(root_.path().string()).lately(), std::nullopt);
}

}  // namespace
}  // namespace triga
