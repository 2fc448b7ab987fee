#include "trainer/save_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

namespace triga {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

/// What was said, from any thread.
class Lines {
 public:
  void add(const std::string& line) {
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
    times_.push_back(std::chrono::steady_clock::now());
    changed_.notify_all();
  }
  /// Waits until there are so many.
  std::vector<std::string> await(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return lines_.size() >= count; });
    return lines_;
  }
  std::chrono::steady_clock::time_point time(size_t line) {
    const std::lock_guard lock(mutex_);
    return times_.at(line);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
  std::vector<std::chrono::steady_clock::time_point> times_;
};

TEST(WhoHasNotSaved, NamesOneRankAndCountsSeveral) {
  EXPECT_EQ(who_has_not_saved(8, 28, 8), "");
  for (int missing = 0; missing < 8; ++missing)
    EXPECT_EQ(who_has_not_saved(7, 28 - missing, 8),
              "rank " + std::to_string(missing) + " has not written its part");
  EXPECT_EQ(who_has_not_saved(5, 12, 8), "3 of 8 ranks have not written their parts");
  EXPECT_EQ(who_has_not_saved(0, 0, 1), "rank 0 has not written its part");
}

TEST(SaveWatch, SaysThatASaveLastsAndAgainAfterEachDoubling) {
  Lines lines;
  SaveWatch watch(milliseconds(40), [&](const std::string& line) { lines.add(line); });
  const auto began = std::chrono::steady_clock::now();
  watch.begin(500);
  watch.heard("rank 3 has not written its part");
  const auto said = lines.await(3);
  ASSERT_GE(said.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_THAT(said[i], HasSubstr("the checkpoint of step 500 is still not there after "));
    EXPECT_THAT(said[i], HasSubstr(" s: rank 3 has not written its part."));
    EXPECT_GE(lines.time(i) - began, milliseconds(40 << i));
  }
}

TEST(SaveWatch, SaysNothingOfASaveThatIsOver) {
  Lines lines;
  {
    SaveWatch watch(milliseconds(50), [&](const std::string& line) { lines.add(line); });
    watch.end();  // of none
    watch.heard("nobody");
    watch.begin(1);
    watch.end();
    std::this_thread::sleep_for(milliseconds(150));
    watch.begin(2);
    EXPECT_THAT(lines.await(1).front(), HasSubstr("the checkpoint of step 2 is still"));
  }
}

}  // namespace
}  // namespace triga
