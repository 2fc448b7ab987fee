#include "base/parallel.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace triga {
namespace {

TEST(ParallelFor, CoversEveryElementOnce) {
  const int before = at::get_num_threads();
  for (const int threads : {1, 2, 5}) {
    at::set_num_threads(threads);
    for (const int64_t size : {0, 1, 7, 1000, 1001})
      for (const int64_t grain : {1, 100, 5000}) {
        std::vector<int> counts(static_cast<size_t>(size), 0);
        std::mutex mutex;
        std::set<std::thread::id> workers;
        parallel_for(size, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++counts[static_cast<size_t>(i)];
          const std::lock_guard lock(mutex);
          workers.insert(std::this_thread::get_id());
        });
        for (const int count : counts) EXPECT_EQ(count, 1);
        EXPECT_LE(static_cast<int>(workers.size()), threads);
        if (size == 1000 && grain == 100) EXPECT_EQ(static_cast<int>(workers.size()), threads);
      }
  }
  at::set_num_threads(before);
}

}  // namespace
}  // namespace triga
