// The communicator over NCCL does what every communicator does, but for the order of sums; and ranks
// that mean different things end soon, in words.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "comm/cuda_backend.h"
#include "comm/mpi_communicator.h"
#include "tests/support/communicator_suite.h"
#include "tests/support/on_device_communicator.h"

namespace triga::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::unique_ptr<Communicator> world;
bool is_given_up = false;  // after a CommError a communicator can only be destroyed

/// Cases whose answer is the order of sums of our own collectives, or their buffers in shared
/// memory.
const std::set<std::string> kNotOfNccl = {"SumsAreExactInTreeOrder", "Allocate"};

/// Where the shorter of the two ends nevertheless, its rank hears of it from the other one.
void sizes_that_differ(Communicator& group) {
  if (group.size() == 1) return;
  group.set_step(7);
  const int64_t numel = group.rank() == 0 ? 1'000'000 : 3;
  const auto tensor = at::ones({numel});
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);  // the deadline: 60
  std::optional<std::string> reason;
  try {
    group.all_reduce(tensor, ReduceOp::kSum, "bucket 3").synchronize();
  } catch (const CommError& error) {
    reason = error.what();
  }
  while (!reason && std::chrono::steady_clock::now() < end) {
    reason = group.progress().find_failure();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_LT(std::chrono::steady_clock::now(), end);
  EXPECT_THAT(reason.value_or(""),
              AllOf(HasSubstr("ranks of group world disagree on what to do next: "),
                    HasSubstr("rank 0 on host " + group.host(0) +
                              ": all_reduce sum of 1000000 fp32 \"bucket 3\" (step 7)"),
                    HasSubstr("rank 1 on host " + group.host(1) +
                              ": all_reduce sum of 3 fp32 \"bucket 3\" (step 7)")));
  is_given_up = true;
}

std::vector<CommunicatorCase> cases() {
  std::vector<CommunicatorCase> kept;
  for (const CommunicatorCase& one : communicator_cases())
    if (!kNotOfNccl.contains(one.name) && one.name.find("Buffer") == std::string::npos)
      kept.push_back(one);
  kept.push_back({"SizesThatDifferAreFoundAtOnce", &sizes_that_differ});  // last: it gives up
  return kept;
}

class NcclCommunicator : public ::testing::TestWithParam<CommunicatorCase> {};

TEST_P(NcclCommunicator, DoesWhatEveryCommunicatorDoes) {
  GetParam().run(*world);
}

INSTANTIATE_TEST_SUITE_P(Cases, NcclCommunicator, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

int run(int argc, char** argv) {
  CudaBackend& backend = open_cuda({});
  ::testing::InitGoogleTest(&argc, argv);
  if (backend.num_devices() == 0) throw Error("these tests need a GPU");
  backend.use_device(0);
  const auto fabric = open_mpi_fabric({});
  world = std::make_unique<OnDeviceCommunicator>(
      backend.make_communicator(make_watched_world(fabric, {}), std::chrono::minutes(1)));
  const int status = RUN_ALL_TESTS();
  if (is_given_up)
    fabric->finish();  // over NCCL alone: nothing of MPI is under way
  else
    world->finish();
  return status;
}

}  // namespace
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
