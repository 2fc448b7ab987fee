#include "trainer/lease.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "comm/host.h"
#include "tests/support/faulty_files.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

class LeaseTest : public testing::Test {
 protected:
  const test::TemporaryFolder own_;
  const Path folder_ = own_.path(), file_ = folder_ / "lease.json";
  static constexpr LeaseTiming kQuick{std::chrono::milliseconds(20), std::chrono::milliseconds(400),
                                      std::chrono::milliseconds(200)};
};

TEST_F(LeaseTest, RefusesASecondHolderAndSaysWhoHoldsIt) {
  const Lease first(posix_files(), file_, kQuick);
  try {
    const Lease second(posix_files(), file_, kQuick);
    FAIL() << "took a lease that is held";
  } catch (const ConfigError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("process " + std::to_string(::getpid())), std::string::npos) << text;
    EXPECT_NE(text.find("--run-dir"), std::string::npos) << text;
  }
}

TEST_F(LeaseTest, IsFreeAfterItsHolderEnded) {
  { const Lease first(posix_files(), file_, kQuick); }
  EXPECT_FALSE(std::filesystem::exists(file_));
  const Lease second(posix_files(), file_, kQuick);
}

TEST_F(LeaseTest, TellsWhoHoldsItAndWhetherThatProcessLives) {
  EXPECT_FALSE(lease_holder(posix_files(), file_, kQuick));
  {
    const Lease lease(posix_files(), file_, kQuick);
    const auto holder = lease_holder(posix_files(), file_, kQuick);
    ASSERT_TRUE(holder);
    EXPECT_EQ(holder->pid, ::getpid());
    EXPECT_TRUE(holder->is_alive);
  }
  std::ofstream(file_)
      << R"({"host": "elsewhere", "pid": 7, "start_ticks": "1", "token": "x", "beats": 3})";
  EXPECT_TRUE(lease_holder(posix_files(), file_, kQuick)->is_alive) << "it was just written";
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const auto silent = lease_holder(posix_files(), file_, kQuick);
  ASSERT_TRUE(silent);
  EXPECT_EQ(silent->host, "elsewhere");
  EXPECT_FALSE(silent->is_alive);
}

TEST_F(LeaseTest, IsTakenOverFromAProcessThatDied) {
  const pid_t child = ::fork();
  if (child == 0) {
    new Lease(posix_files(), file_, kQuick);  // never destroyed: the process dies with it
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(std::filesystem::exists(file_));
  const Lease lease(posix_files(), file_, kQuick);
  lease.check();
}

TEST_F(LeaseTest, IsTakenOverFromAProcessThatDiedAndWhoseParentDoesNotAsk) {
  const pid_t child = ::fork();
  if (child == 0) {
    new Lease(posix_files(), file_, kQuick);
    ::_exit(0);
  }
  siginfo_t ended;
  ASSERT_EQ(::waitid(P_PID, child, &ended, WEXITED | WNOWAIT), 0);  // it stays, dead
  const Lease lease(posix_files(), file_, kQuick);
  ::waitpid(child, nullptr, 0);
}

TEST_F(LeaseTest, IsTakenOverFromAProcessThatIsJustDying) {
  const std::filesystem::path is_taken = file_.string() + ".is_taken";
  const pid_t child = ::fork();
  if (child == 0) {
    new Lease(posix_files(), file_, kQuick);
    std::ofstream{is_taken};  // the lease's own file is there a moment before its lock is free
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::_exit(0);
  }
  while (!std::filesystem::exists(is_taken)) std::this_thread::sleep_for(kQuick.heartbeat);
  const LeaseTiming patient{kQuick.heartbeat, kQuick.expiry, std::chrono::seconds(60)};
  const Lease lease(posix_files(), file_, patient);
  ::waitpid(child, nullptr, 0);
}

TEST_F(LeaseTest, OfAnotherHostExpiresWhenItIsSilent) {
  std::ofstream(file_)
      << R"({"host": "elsewhere", "pid": 1, "start_ticks": "1", "token": "x", "beats": 3})";
  EXPECT_THAT(test::message_of<ConfigError>([&] { Lease(posix_files(), file_, kQuick); }),
              testing::HasSubstr("another run writes to this directory"));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const Lease lease(posix_files(), file_, kQuick);
  lease.check();
}

/// Of a process of this host that is not found, of `space` unless that is empty.
std::string lease_of_nobody(const std::string& space) {
  nlohmann::json lease = {
      {"host", host_name()}, {"pid", 1}, {"start_ticks", "never"}, {"token", "x"}, {"beats", 3}};
  if (!space.empty()) lease["process_space"] = space;
  return lease.dump();
}

TEST_F(LeaseTest, OfAContainerWithTheNameOfThisHostExpiresWhenItIsSilent) {
  std::ofstream(file_) << lease_of_nobody("another boot pid:[1]");
  EXPECT_TRUE(lease_holder(posix_files(), file_, kQuick)->is_alive) << "it was just written";
  EXPECT_THAT(test::message_of<ConfigError>([&] { Lease(posix_files(), file_, kQuick); }),
              testing::HasSubstr("another run writes to this directory"));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  const Lease lease(posix_files(), file_, kQuick);
  lease.check();
}

TEST_F(LeaseTest, OfAProcessThatWouldBeFoundHereIsTakenOverAtOnce) {
  for (const std::string& space : {process_space(), std::string()}) {  // none: an older version's
    std::ofstream(file_) << lease_of_nobody(space);
    const Lease lease(posix_files(), file_, kQuick);
    const auto written = nlohmann::json::parse(read_text(posix_files(), file_));
    EXPECT_EQ(written.at("process_space").get<std::string>(), process_space());
  }
}

TEST_F(LeaseTest, OfAnotherHostIsNotTakenFromOneWhoseClockIsBehind) {
  std::atomic<bool> is_over = false;
  std::thread elsewhere([&] {
    for (int beats = 0; !is_over; ++beats) {
      atomic_write(
          posix_files(), file_,
          R"({"host": "elsewhere", "pid": 1, "start_ticks": "1", "token": "x", "beats": )" +
              std::to_string(beats) + "}");
      std::filesystem::last_write_time(
          file_, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_THAT(test::message_of<ConfigError>([&] { Lease(posix_files(), file_, kQuick); }),
              testing::HasSubstr("another run writes to this directory"));
  is_over = true;
  elsewhere.join();
}

TEST_F(LeaseTest, HoldUnusedRefusesADirectoryInUse) {
  {
    const Lease lease(posix_files(), file_, kQuick);
    EXPECT_EQ(lease_token(posix_files(), file_), lease.token());
    EXPECT_THAT(test::message_of<ConfigError>([&] { hold_unused(posix_files(), file_, kQuick); }),
                testing::HasSubstr("another run writes to this directory"));
  }
  EXPECT_EQ(lease_token(posix_files(), file_), "");
  const auto held = hold_unused(posix_files(), file_, kQuick);
  EXPECT_THROW(Lease(posix_files(), file_, kQuick), ConfigError);
}

TEST_F(LeaseTest, BeatsOnAFullDisk) {
  std::atomic<bool> is_full = false;
  test::FaultyFiles files(posix_files());
  files.before_each([&](const std::string& operation) {
    if (is_full && operation.starts_with("create")) throw FileError("create", file_, ENOSPC);
  });
  const Lease lease(files, file_, kQuick);
  is_full = true;
  std::this_thread::sleep_for(kQuick.heartbeat * 5);  // what began before is over
  const auto time_before = std::filesystem::last_write_time(file_);
  const std::string before = read_text(posix_files(), file_);
  std::this_thread::sleep_for(kQuick.heartbeat * 10);
  EXPECT_GT(std::filesystem::last_write_time(file_), time_before) << "others would take it";
  EXPECT_NE(read_text(posix_files(), file_), before) << "also where clocks differ";
  EXPECT_EQ(lease_token(posix_files(), file_), lease.token());
  lease.check();
}

TEST_F(LeaseTest, OnAFullDiskLeavesThatOfWhoTookOver) {
  std::atomic<bool> is_full = false;
  test::FaultyFiles files(posix_files());
  const std::string other =
      R"({"host": "elsewhere", "pid": 1, "start_ticks": "1", "token": "x", "beats": 0})";
  files.before_each([&](const std::string& operation) {
    if (!is_full || !operation.starts_with("create")) return;
    atomic_write(posix_files(), file_, other);  // just after it has looked
    throw FileError("create", file_, ENOSPC);
  });
  const Lease lease(files, file_, kQuick);
  is_full = true;
  std::this_thread::sleep_for(kQuick.heartbeat * 10);
  EXPECT_EQ(read_text(posix_files(), file_), other);
  EXPECT_THROW(lease.check(), CheckpointError);
}

TEST_F(LeaseTest, NoticesThatItWasTakenOver) {
  const Lease lease(posix_files(), file_, kQuick);
  atomic_write(posix_files(), file_,
               R"({"host": "elsewhere", "pid": 1, "start_ticks": "1", "token": "x", "beats": 0})");
  for (int i = 0; i < 200; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    try {
      lease.check();
    } catch (const CheckpointError&) {
      return;
    }
  }
  FAIL() << "did not notice within two seconds";
}

}  // namespace
}  // namespace triga
