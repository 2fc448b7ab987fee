// The communicator over NCCL does what every communicator does, but for the order of sums.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <set>

#include "comm/cuda_backend.h"
#include "comm/mpi_communicator.h"
#include "tests/support/communicator_suite.h"
#include "tests/support/on_device_communicator.h"

namespace triga::testing {
namespace {

std::unique_ptr<Communicator> world;

/// Cases whose answer is the order of sums of our own collectives, or their buffers in shared
/// memory.
const std::set<std::string> kNotOfNccl = {"SumsAreExactInTreeOrder", "Allocate"};

std::vector<CommunicatorCase> cases() {
  std::vector<CommunicatorCase> kept;
  for (const CommunicatorCase& one : communicator_cases())
    if (!kNotOfNccl.contains(one.name) && one.name.find("Buffer") == std::string::npos)
      kept.push_back(one);
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
  world = std::make_unique<OnDeviceCommunicator>(
      backend.make_communicator(open_mpi_world({}), std::chrono::minutes(1)));
  const int status = RUN_ALL_TESTS();
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
