#include "parallel/pipeline/gradient_sums.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tests/support/local_ranks.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

at::Tensor squares(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble);
}

TEST(GradientSums, AddsUpMicrobatchesRanksAndStages) {
  testing::run_ranks(3, [](Communicator& world) {
    GradientSums sums;
    if (world.rank() == 0) {
      sums.add("rnn.0", "hidden", squares({1, 4}));
      sums.add("rnn.0", "hidden", squares({8}));  // a microbatch of shorter sequences
    }
    if (world.rank() == 1) sums.add("rnn.0", "hidden", squares({0, 12, 25}));
    if (world.rank() == 2) sums.add("rnn.1", "cell", squares({1e-300}));  // another stage
    EXPECT_THAT(sums.take_norms(world), ElementsAre(Pair("rnn.0.hidden", ElementsAre(3, 4, 5)),
                                                    Pair("rnn.1.cell", ElementsAre(1e-150))));
    EXPECT_TRUE(sums.take_norms(world).empty());
  });
}

TEST(GradientSums, SaysWhatIsNotFinite) {
  testing::run_ranks(2, [](Communicator& world) {
    GradientSums sums;
    const double infinity = std::numeric_limits<double>::infinity();
    sums.add("rnn.0", "hidden", squares({infinity, std::nan("")}));
    const auto norms = sums.take_norms(world);
    EXPECT_EQ(norms.at("rnn.0.hidden")[0], infinity);
    EXPECT_TRUE(std::isnan(norms.at("rnn.0.hidden")[1]));
  });
}

}  // namespace
}  // namespace triga
