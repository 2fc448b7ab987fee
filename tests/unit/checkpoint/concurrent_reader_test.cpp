// A run saves and removes checkpoints while another process (evaluate, a copy) looks for the newest
// and reads it.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "tests/support/memory_files.h"
#include "tests/support/small_snapshot.h"

namespace triga {
namespace {

using test::MemoryFiles;
using test::small_snapshot;

TEST(ConcurrentReader, SeesOnlyWholeCheckpoints) {
  MemoryFiles files;
  files.make_directory("/run");
  CheckpointWriter writer(files, "/run/checkpoints", {{1, {}}});
  writer.save(small_snapshot(1));
  std::atomic<bool> is_done = false;
  int64_t num_read = 0, num_gone = 0, newest = 0;
  std::thread reader([&] {
    while (!is_done || num_read == 0) {
      const auto search = find_checkpoint(files, "/run");
      ASSERT_TRUE(search.directory.has_value()) << testing::PrintToString(search.passed_over);
      try {
        const Checkpoint checkpoint(files, *search.directory);
        const auto weights = checkpoint.weights({}).read("wte.weight");
        const int64_t step = checkpoint.state().step;
        ASSERT_TRUE(weights.eq(static_cast<double>(step)).all().item<bool>());
        ASSERT_GE(step, newest) << "an older one than before";
        newest = step;
        ++num_read;
      } catch (const CheckpointError& error) {
        ++num_gone;  // removed by the run between the search and the reading: said, not read in
                     // part
        ASSERT_THAT(error.what(), testing::AnyOf(testing::HasSubstr("No such file"),
                                                 testing::HasSubstr("there is neither")));
      }
    }
  });
  for (int64_t step = 2; step <= 200; ++step) writer.save(small_snapshot(step));
  is_done = true;
  reader.join();
  EXPECT_GT(num_read, 0);
  EXPECT_GT(newest, 1);
}

}  // namespace
}  // namespace triga
