// The communicator over MPI does what every communicator does.
#include <gtest/gtest.h>

#include "comm/mpi_communicator.h"
#include "tests/multirank/multirank_world.h"
#include "tests/support/communicator_suite.h"

namespace triga {
namespace {

class MpiCommunicator : public ::testing::TestWithParam<testing::CommunicatorCase> {};

TEST_P(MpiCommunicator, DoesWhatEveryCommunicatorDoes) {
  GetParam().run(testing::world());
}

INSTANTIATE_TEST_SUITE_P(Cases, MpiCommunicator, ::testing::ValuesIn(testing::communicator_cases()),
                         [](const auto& info) { return info.param.name; });

TEST(MpiVersion, NamesLibraryAndVersion) {
  EXPECT_EQ(mpi_version({}).rfind("Open MPI v", 0), 0U) << mpi_version({});
}

TEST(MpiWorld, IsThereOnce) {
  EXPECT_THROW(open_mpi_world({}), CommError);
}

TEST(MpiWorld, SaysWhereItLookedForItsLibrary) {
  try {
    open_mpi_fabric({.library = "/nowhere/libtriga_mpi.so"});
    FAIL() << "did not throw";
  } catch (const CommError& error) {
    EXPECT_NE(std::string(error.what()).find("/nowhere/libtriga_mpi.so"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace triga
