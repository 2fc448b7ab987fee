#include <gtest/gtest.h>

#include <chrono>

#include "launchers/programs.h"

namespace triga {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RunProgram, GivesWhatItWroteWhateverItsStatus) {
  EXPECT_EQ(run_program({"/bin/sh", "-c", "echo a; echo b >&2; exit 3"}, seconds(20)), "a\nb\n");
  EXPECT_EQ(run_program({"/bin/cat"}, seconds(20)), "") << "its input is empty";
}

TEST(RunProgram, GivesNothingOfWhatIsNotThereOrDoesNotEnd) {
  EXPECT_FALSE(run_program({"/nowhere/at/all"}, seconds(20)));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_FALSE(run_program({"/bin/sh", "-c", "echo a; exec sleep 60"}, milliseconds(200)));
  EXPECT_FALSE(run_program({"/bin/sh", "-c", "exec >&- 2>&-; exec sleep 60"}, milliseconds(200)))
      << "it closes what it writes to, and stays";
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(20)) << "they were killed";
}

}  // namespace
}  // namespace triga
