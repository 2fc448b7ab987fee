#include "launchers/mpirun_words.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>

#include "triga/error.h"

namespace triga {
namespace {

constexpr const char* kKilled =
    "mpirun noticed that process rank 1 with PID 0 on node b exited on signal 9 (Killed).";
constexpr const char* kLostHost = "ORTE has lost communication with a remote daemon.";

struct Said {
  std::string text;  // that was passed on
  std::optional<MpirunWords::KilledRank> killed;
};

/// Of a shell in the place of mpirun.
Said words_of(const std::string& script) {
  ::testing::internal::CaptureStderr();
  Said said;
  {
    MpirunWords words;
    ChildProcess program = words.start({"/bin/sh", "-c", script});
    program.wait(std::chrono::steady_clock::now() + std::chrono::seconds(20));
    said.killed = words.killed_first();
  }
  said.text = ::testing::internal::GetCapturedStderr();
  return said;
}

std::string say(const std::string& line) {
  return "echo '" + line + "' >&2;";
}

TEST(MpirunWords, NameTheRankThatWasKilled) {
  const auto killed = killed_rank_in(kKilled);
  ASSERT_TRUE(killed.has_value());
  EXPECT_EQ(killed->rank, 1);
  EXPECT_EQ(killed->host, "b");
  EXPECT_EQ(killed->signal, 9);
  const auto by_address = killed_rank_in(
      "orterun noticed that process rank 12 with PID 4164 on node 10.0.0.6 exited on signal 11.");
  ASSERT_TRUE(by_address.has_value());
  EXPECT_EQ(by_address->host, "10.0.0.6");
  EXPECT_EQ(by_address->signal, 11);
  for (const char* other :
       {"", "mpirun noticed that the job aborted, but has no info as to the process",
        "mpirun noticed that process rank x with PID 0 on node b exited on signal 9 (Killed).",
        "  Process name: [[1234,1],0]"})
    EXPECT_FALSE(killed_rank_in(other)) << other;
}

TEST(MpirunWords, ArePassedOnAsTheyAre) {
  const Said said = words_of(say("first") + say(kKilled) + "printf 'no end of line' >&2; exit 3");
  EXPECT_EQ(said.text, std::string("first\n") + kKilled + "\nno end of line");
  ASSERT_TRUE(said.killed.has_value());
  EXPECT_EQ(said.killed->host, "b");
  EXPECT_FALSE(words_of(say("nothing")).killed.has_value());
}

/// Its own ranks it ends itself then.
TEST(MpirunWords, BlameNoRankAfterAHostWasLost) {
  EXPECT_FALSE(words_of(say(kLostHost) + say(kKilled)).killed.has_value());
  EXPECT_TRUE(words_of(say(kKilled) + say(kLostHost)).killed.has_value());
}

TEST(MpirunWords, AreNotWaitedForWhereOthersCouldStillWrite) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(words_of("sleep 5 & " + say("words")).text, "words\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
}

TEST(MpirunWords, AreKnownThoughNobodyReadsThem) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  const int before = ::dup(STDERR_FILENO);
  ::dup2(ends[1], STDERR_FILENO);
  const auto start = std::chrono::steady_clock::now();
  std::optional<MpirunWords::KilledRank> killed;
  {
    MpirunWords words;
    ChildProcess program =
        words.start({"/bin/sh", "-c", "head -c 3000000 /dev/zero >&2; echo >&2; " + say(kKilled)});
    EXPECT_FALSE(program.wait(start + std::chrono::seconds(20)).timed_out)
        << "it waits for a reader";
    killed = words.killed_first();
  }
  ::dup2(before, STDERR_FILENO);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20));
  ASSERT_TRUE(killed.has_value());
  EXPECT_EQ(killed->host, "b");
  ::close(before);
  ::close(ends[1]);
  ::close(ends[0]);
}

TEST(MpirunWords, ArePassedOnInFull) {
  const Said said = words_of("head -c 3000000 /dev/zero | tr '\\0' x >&2");
  EXPECT_EQ(said.text, std::string(3000000, 'x'));
}

TEST(MpirunWords, OfAProgramThatIsNotThereAreAnError) {
  MpirunWords words;
  EXPECT_THROW(words.start({"/is/not/there"}), Error);
  EXPECT_FALSE(words.killed_first().has_value());
}

}  // namespace
}  // namespace triga
