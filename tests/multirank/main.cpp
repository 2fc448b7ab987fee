// main() of the tests under mpirun: `mpirun -n N test --ranks=N`. All ranks run all cases; rank 0
// prints them, the others print only what fails. A run on another number of ranks than asked for is
// a failure, and so is a rank that failed.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "comm/mpi_communicator.h"
#include "tests/multirank/multirank_world.h"

namespace triga::testing {
namespace {

std::unique_ptr<Communicator> the_world;

int asked_ranks(int argc, char** argv) {
  for (int i = 1; i < argc; ++i)
    if (std::strncmp(argv[i], "--ranks=", 8) == 0) return std::stoi(argv[i] + 8);
  throw Error("give the number of ranks that this test is to run on: --ranks=N");
}

// Names the rank in front of each failure. Others than rank 0 say nothing else.
class RankPrinter : public ::testing::EmptyTestEventListener {
  void OnTestPartResult(const ::testing::TestPartResult& result) override {
    if (!result.failed()) return;
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::fprintf(stderr, "rank %d: %s: %s:%d: %s\n", world().rank(), test ? test->name() : "",
                 result.file_name(), result.line_number(), result.message());
  }
};

int run(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const int asked = asked_ranks(argc, argv);
  the_world = open_mpi_world({});
  if (the_world->size() != asked)
    throw Error(
        c10::str("this test is to run on ", asked, " ranks, but runs on ", the_world->size()));
  auto& listeners = ::testing::UnitTest::GetInstance()->listeners();
  if (the_world->rank() != 0) {
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new RankPrinter);
  }
  const bool failed = RUN_ALL_TESTS() != 0;
  // Counted on all ranks: each took part, in this very run.
  std::vector<double> counts = {
      1, failed ? 1.0 : 0.0,
      static_cast<double>(::testing::UnitTest::GetInstance()->test_to_run_count())};
  the_world->all_reduce_values(counts, ReduceOp::kSum, "results");
  if (the_world->rank() == 0)
    std::printf("%d ranks ran the tests; they failed on %d\n", static_cast<int>(counts[0]),
                static_cast<int>(counts[1]));
  the_world->finish();
  return counts[0] == asked && counts[1] == 0 && counts[2] > 0 ? 0 : 1;
}

}  // namespace

Communicator& world() {
  return *the_world;
}

}  // namespace triga::testing

int main(int argc, char** argv) {
  int status = 1;
  try {
    status = triga::testing::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  std::fflush(nullptr);
  _exit(status);  // after an error MPI cannot be brought down in order
}
