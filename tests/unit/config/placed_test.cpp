// placed: which errors get the place in the experiment, and that they keep their sort.
#include "config/placed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

using testing::ThrowsMessage;

ConfigNode train_data() {
  ConfigNode node;
  node.file = "a.yaml";
  node.line = 7;
  node.path = "data.train";
  return node;
}

template <class E>
auto throwing(const E& error, const ConfigNode& node = train_data()) {
  return [=] { placed(node, [&]() -> int { throw error; }); };
}

TEST(Placed, PutsThePlaceInFrontAndKeepsTheSort) {
  EXPECT_THAT(throwing(ConfigError("too few")),
              ThrowsMessage<ConfigError>("a.yaml:7: data.train: too few"));
  EXPECT_THAT(throwing(DataError("/x/*.txt: no file")),
              ThrowsMessage<DataError>("a.yaml:7: data.train: /x/*.txt: no file"));
  EXPECT_THAT(throwing(CheckpointError("cannot list /x")),
              ThrowsMessage<CheckpointError>("a.yaml:7: data.train: cannot list /x"));
}

TEST(Placed, PutsItThereOnce) {
  const auto twice = [] {
    placed(train_data(),
           [] { return placed(train_data(), []() -> int { throw DataError("bad"); }); });
  };
  EXPECT_THAT(twice, ThrowsMessage<DataError>("a.yaml:7: data.train: bad"));
  EXPECT_THAT(throwing(config_error(train_data(), "bad")),
              ThrowsMessage<ConfigError>("a.yaml:7: data.train: bad"));
}

TEST(Placed, LeavesWhatHasNoPlaceAndWhatIsNoMistakeOfTheFile) {
  EXPECT_THAT(throwing(DataError("bad"), ConfigNode{}), ThrowsMessage<DataError>("bad"));
  EXPECT_THAT(throwing(CommError("bad")), ThrowsMessage<CommError>("bad"));
  EXPECT_EQ(placed(train_data(), [] { return 3; }), 3);
}

}  // namespace
}  // namespace triga
