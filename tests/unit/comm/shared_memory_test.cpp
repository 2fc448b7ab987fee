// Memory that ranks of a host share: what is there, what is refused, what is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "comm/host_board.h"
#include "comm/shared_segment.h"
#include "tests/support/local_ranks.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::set<std::string> names_in_dev_shm() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator("/dev/shm")) names.insert(entry.path().string());
  return names;
}

TEST(SharedSegment, IsSeenThroughItsAddressAndHasNoName) {
  const auto before = names_in_dev_shm();
  const auto made = SharedSegment::create(100'000);
  const auto opened = SharedSegment::open(made->address(), 100'000);
  EXPECT_NE(made->data(), opened->data());
  EXPECT_EQ(made->data()[99'999], std::byte{0});
  made->data()[99'999] = std::byte{7};
  EXPECT_EQ(opened->data()[99'999], std::byte{7});
  EXPECT_EQ(names_in_dev_shm(), before);
}

TEST(SharedSegment, OutlivesTheHandleThatMadeIt) {
  auto made = SharedSegment::create(8);
  const auto opened = SharedSegment::open(made->address(), 8);
  made->data()[0] = std::byte{3};
  made.reset();
  EXPECT_EQ(opened->data()[0], std::byte{3});
}

TEST(SharedSegment, SaysWhatCannotBeOpened) {
  try {
    SharedSegment::open("/proc/self/fd/987654", 8);
    FAIL() << "did not throw";
  } catch (const CommError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/proc/self/fd/987654: No such file"));
  }
}

TEST(AvailableMemory, IsNoMoreThanTheHostHas) {
  std::ifstream file("/proc/meminfo");
  std::string key;
  size_t total_kb = 0;
  file >> key >> total_kb;
  EXPECT_GT(available_memory_bytes(), size_t{1} << 20);
  EXPECT_LE(available_memory_bytes(), total_kb * 1024);
}

TEST(HostBoard, ShowsWhatWasSaidBeforeAnArrival) {
  const auto first = HostBoard::create(2, 0);
  const auto second = HostBoard::open(first->address(), 2, 1);
  const auto stream = ProgressStream::kData;
  for (int round = 0; round < 5; ++round) {
    Operation operation;
    operation.step = round;
    first->mine(stream).write(operation, {});
    first->arrive(stream);
    EXPECT_FALSE(first->have_all_arrived(stream));
    EXPECT_TRUE(first->has_arrived(stream, 0));
    operation.step = 100 + round;
    second->mine(stream).write(operation, {});
    second->arrive(stream);
    EXPECT_TRUE(first->have_all_arrived(stream));
    EXPECT_EQ(first->of(stream, 1).header().step, 100 + round);
    EXPECT_EQ(second->of(stream, 0).header().step, round);
  }
}

TEST(HostBoard, WakesASleeperWhenTheLastOneArrives) {
  const auto first = HostBoard::create(2, 0);
  const auto second = HostBoard::open(first->address(), 2, 1);
  const auto stream = ProgressStream::kHost;
  std::thread late([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    second->arrive(stream);
  });
  first->arrive(stream);
  const auto begin = std::chrono::steady_clock::now();
  while (!first->have_all_arrived(stream))
    first->wait_for_arrivals(stream, std::chrono::seconds(20));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  late.join();
}

TEST(Allocate, RefusesMoreThanThereIsOnAllRanksNamingNeedAndCure) {
  const auto errors = testing::run_ranks_catching(3, [](Communicator& world) {
    world.allocate(int64_t{1} << 42, at::kByte);  // 4 TB each
  });
  for (const auto& error : errors) {
    try {
      ASSERT_TRUE(error);
      std::rethrow_exception(error);
    } catch (const OutOfMemoryError& refused) {
      EXPECT_THAT(refused.what(), HasSubstr("the 3 ranks on host"));
      EXPECT_THAT(refused.what(), HasSubstr("need 12288 GB of memory, of which"));
      EXPECT_THAT(refused.what(), HasSubstr("fewer ranks on a host"));
    }
  }
}

TEST(Allocate, GoesOnAfterARefusal) {
  testing::run_ranks(4, [](Communicator& world) {
    const auto half = world.split(world.rank() / 2, "half");
    if (world.rank() < 2)
      EXPECT_THROW(half->allocate(int64_t{1} << 42, at::kByte), OutOfMemoryError);
    world.barrier("refused");
    EXPECT_EQ(half->allocate(10, at::kFloat).numel(), 10);  // nothing is reserved any more
  });
}

}  // namespace
}  // namespace triga
