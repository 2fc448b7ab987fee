// The table between processes: children of the test play the other ranks of a host.
#include "comm/progress_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "comm/shared_text.h"

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string> kHosts = {"a", "a", "a", "far"};

// A child process that is rank `rank` of the table, does `body`, and then waits to be killed.
class ChildRank {
 public:
  ChildRank(const ProgressTable& table, int rank, const std::function<void(ProgressTable&)>& body) {
    const std::string address = table.address();
    std::array<int, 2> pipe_ends;
    TRIGA_CHECK(pipe(pipe_ends.data()) == 0, "pipe");
    pid_ = fork();
    if (pid_ == 0) {
      const auto own = ProgressTable::open_shared(address, kHosts);
      own->join(rank);
      body(*own);
      [[maybe_unused]] const auto written = write(pipe_ends[1], "x", 1);
      while (true) pause();
    }
    char ready;
    EXPECT_EQ(read(pipe_ends[0], &ready, 1), 1);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
  }
  ~ChildRank() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  // The child ends but stays a zombie: nobody has asked for its status.
  void signal(int number) const {
    kill(pid_, number);
    siginfo_t info;
    waitid(P_PID, pid_, &info, (number == SIGSTOP ? WSTOPPED : WEXITED) | WNOWAIT);
  }

 private:
  pid_t pid_;
};

TEST(ProgressTable, SeesADeadProcessAndWhereItWas) {
  const auto table = ProgressTable::create_shared(kHosts);
  table->join(0);
  const ChildRank child(*table, 1, [](ProgressTable& own) {
    own.set_step(1, 17);
    own.set_activity(1, "backward");
    own.begin_operation(1, ProgressStream::kData, "all_reduce \"gradients\"");
  });
  EXPECT_EQ(table->find_failure(0, {}), std::nullopt);
  EXPECT_EQ(table->state(1), RankState::kRunning);
  child.signal(SIGKILL);
  EXPECT_THAT(table->find_failure(0, {}).value_or(""),
              AllOf(HasSubstr("rank 1 on host a died"),
                    HasSubstr("step 17, backward, in all_reduce \"gradients\"")));
  EXPECT_THAT(table->to_text(), AllOf(HasSubstr("rank 1 on host a (dead)"),
                                      HasSubstr("rank 2 on host a (not visible"),
                                      HasSubstr("rank 3 on host far (not visible")));
}

TEST(ProgressTable, SeesAStoppedProcess) {
  const auto table = ProgressTable::create_shared(kHosts);
  table->join(0);
  const ChildRank child(*table, 1, [](ProgressTable&) {});
  child.signal(SIGSTOP);
  EXPECT_EQ(table->find_failure(0, {}), std::nullopt) << "it may go on";
  EXPECT_THAT(table->whereabouts(1), HasSubstr("rank 1 on host a (stopped by a signal)"));
}

TEST(ProgressTable, TellsTheCauseOfAFailedProcessEvenAfterItsEnd) {
  const auto table = ProgressTable::create_shared(kHosts);
  table->join(0);
  const ChildRank failed(*table, 1, [](ProgressTable& own) {
    own.set_step(1, 5);
    own.mark_failed(1, "disk full\nmore", ExitStatus::kCheckpoint);
    own.mark_failed(1, "because of that", ExitStatus::kInternal);
  });
  const ChildRank finished(*table, 2, [](ProgressTable& own) { own.mark_finished(2); });
  finished.signal(SIGKILL);
  failed.signal(SIGKILL);
  EXPECT_EQ(table->find_failure(0, {}).value_or(""),
            "rank 1 on host a failed at step 5: disk full");
}

TEST(ProgressTable, PrefersTheCauseToItsConsequences) {
  const auto table = ProgressTable::in_process({"a", "b", "c", "d"});
  for (int rank = 0; rank < 4; ++rank) table->join(rank);
  table->mark_failed(1, "all_reduce was not done; missing: rank 2", ExitStatus::kCommunication);
  EXPECT_EQ(table->find_failure(0, {}).value_or(""), "all_reduce was not done; missing: rank 2");
  table->mark_failed(2, "bad file", ExitStatus::kData);
  table->mark_failed(3, "bad file too", ExitStatus::kData);
  EXPECT_EQ(table->find_failure(0, {}).value_or(""), "rank 2 on host c failed at step 0: bad file");
}

TEST(ProgressTable, TellsARankWhatAnotherThreadOfItFoundOut) {
  const auto table = ProgressTable::in_process({"a", "b"});
  for (int rank = 0; rank < 2; ++rank) table->join(rank);
  table->mark_failed(0, "ranks disagree", ExitStatus::kCommunication);
  EXPECT_EQ(table->find_failure(0, {}).value_or(""), "ranks disagree");
  table->mark_failed(1, "bad file", ExitStatus::kData);
  EXPECT_EQ(table->find_failure(1, {}).value_or(""), "ranks disagree")
      << "the thread that read the file says so itself";
  EXPECT_EQ(table->find_failure(0, {}).value_or(""), "rank 1 on host b failed at step 0: bad file")
      << "a cause comes before what was found out";
}

TEST(ProgressTable, SaysWhatARankDoesAndWhenItMovedLast) {
  const auto table = ProgressTable::create_shared(kHosts);
  table->join(0);
  const ChildRank child(*table, 1, [](ProgressTable& own) {
    own.set_step(1, 17);
    own.set_activity(1, "evaluation");
    own.set_doing(1, {Phase::kBackwardInputs, 2, 70'000});
    own.set_patience(1, std::chrono::hours(2));
  });
  const RankProgress progress = table->progress(1);
  EXPECT_EQ(progress.step, 17);
  EXPECT_EQ(progress.doing.phase, Phase::kBackwardInputs);
  EXPECT_EQ(progress.doing.stage, 2);
  EXPECT_EQ(progress.doing.microbatch, 70'000);
  EXPECT_EQ(progress.what, "evaluation, backward of inputs of stage 2, microbatch 70000");
  EXPECT_EQ(table->patience(1), std::chrono::hours(2));
  EXPECT_GT(progress.moved_ns, 0);
  EXPECT_EQ(table->progress(2).state, RankState::kAbsent);
}

TEST(ProgressTable, CountsEveryMove) {
  const auto table = ProgressTable::in_process({"a"});
  table->join(0);
  const auto did_move = [&](const auto& action) {
    const int64_t before = table->num_moves(0);
    action();
    return table->num_moves(0) > before;
  };
  EXPECT_FALSE(did_move([] {}));
  EXPECT_TRUE(did_move([&] { table->set_doing(0, {Phase::kForward, -1, 3}); }));
  EXPECT_EQ(table->describe(0), "step 0, forward of microbatch 3");
  EXPECT_TRUE(did_move([&] { table->move(0); }));
  EXPECT_TRUE(did_move([&] { table->set_step(0, 1); }));
  EXPECT_TRUE(did_move([&] { table->set_activity(0, ""); }));
  EXPECT_TRUE(did_move([&] { table->begin_operation(0, ProgressStream::kData, "x"); }));
  EXPECT_TRUE(did_move([&] { table->end_operation(0, ProgressStream::kData); }));
}

TEST(ProgressTable, AddsUpWhatTheRanksOfAHostReserve) {
  const auto table = ProgressTable::create_shared(kHosts);
  table->join(0);
  table->set_reserved(0, 100);
  const ChildRank child(*table, 1, [](ProgressTable& own) { own.set_reserved(1, 20); });
  EXPECT_EQ(table->reserved().bytes, 120);
  EXPECT_EQ(table->reserved().num_ranks, 2);
  table->set_reserved(0, 0);
  EXPECT_EQ(table->reserved().bytes, 20);
  EXPECT_EQ(table->reserved().num_ranks, 1);
}

TEST(ProgressTable, LeavesNothingBehind) {
  const auto table = ProgressTable::create_shared(kHosts);
  std::array<char, 256> target{};
  ASSERT_GT(readlink(table->address().c_str(), target.data(), target.size() - 1), 0);
  EXPECT_THAT(target.data(), HasSubstr("memfd:")) << "memory without a name in any folder";
}

TEST(SharedText, IsNeverTorn) {
  SharedText<64> text;
  std::jthread writer([&](const std::stop_token& stop) {
    for (int i = 0; !stop.stop_requested(); ++i) {
      text.store(std::string(64, static_cast<char>('a' + i % 26)));
      std::this_thread::sleep_for(
          std::chrono::microseconds(1));  // one that never rests may outpace every reader
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    const std::string seen = text.load();
    ASSERT_EQ(seen, std::string(seen.size(), seen.empty() ? ' ' : seen[0]));
  }
  writer.request_stop();
  writer.join();
  text.store("short");
  EXPECT_EQ(text.load(), "short");
  text.store(std::string(100, 'x'));
  EXPECT_EQ(text.load().size(), 64U);
}

TEST(SharedText, IsCutBetweenTwoCharacters) {
  SharedText<16> text;
  text.store("0123456789abcdé");
  EXPECT_EQ(text.load(), "0123456789abcdé") << "it fits";
  text.store("0123456789abcdeé");
  EXPECT_EQ(text.load(), "0123456789abcde");
  text.store(std::string(100, '\xe9'));
  EXPECT_EQ(text.load(), std::string(16, '\xe9')) << "no UTF-8: anywhere";
}

}  // namespace
}  // namespace triga
