// Who writes what of a checkpoint.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "comm/local_communicator.h"
#include "parallel/strategy.h"
#include "tests/support/core_optimizer.h"
#include "tests/support/local_ranks.h"
#include "tests/support/small_unet.h"

namespace triga {
namespace {

TEST(Snapshot, IsDealtOutToTheRanks) {
  for (const int zero : {0, 1})
    testing::run_ranks(3, [&](Communicator& world) {
      Strategy::Options options;
      options.bucket_bytes = 2000;  // several
      options.zero = zero;
      const test::SmallUnet architecture;
      Strategy strategy(architecture, world, options, test::make_core_optimizer("adamw"));
      strategy.parameters().initialize(4);
      EXPECT_EQ(strategy.collect_weights().empty(), world.rank() != 0);
      const auto mine = strategy.collect_optimizer_state();
      EXPECT_EQ(mine.empty(), world.rank() == 0) << "it writes the weights";
      std::string names;
      for (const auto& tensor : mine) names += tensor.name + "\n";
      std::multiset<std::string> all;
      for (const std::string& text : world.all_gather_text(names, "names")) {
        std::istringstream lines(text);
        for (std::string name; std::getline(lines, name);) all.insert(name);
      }
      std::set<std::string> expected;
      for (const StoredParameter& parameter : strategy.parameters().parameters())
        if (parameter.is_trainable)
          for (const char* state : {".exp_avg", ".exp_avg_sq"})
            expected.insert(parameter.name + state);
      EXPECT_EQ(all, std::multiset<std::string>(expected.begin(), expected.end())) << "each once";
    });
}

}  // namespace
}  // namespace triga
