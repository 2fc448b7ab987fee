#include "base/plugin_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "triga/error.h"

namespace triga {
namespace {

using ::testing::ThrowsMessage;

std::string where() {
  std::array<char, 512> buffer;
  return std::string(PluginCall::describe(buffer));
}

const PluginCode kLayer{"foo", "layer 'blocks.3' (MyLayer)"};

TEST(PluginCall, SaysWhereTheThreadIs) {
  EXPECT_EQ(where(), "");
  {
    const PluginCall call("forward", kLayer, 12, 0);
    EXPECT_EQ(where(),
              " in forward of layer 'blocks.3' (MyLayer) of plugin 'foo', step 12, microbatch 0");
    const PluginCode only_plugin{"bar", ""}, own{"", ""};
    in_plugin("bar", [] { EXPECT_EQ(where(), " in plugin 'bar'"); });
    in_plugin("", [] { EXPECT_EQ(where(), ""); });
    EXPECT_THAT(where(), ::testing::HasSubstr("'blocks.3'"));
  }
  EXPECT_EQ(where(), "");
}

TEST(PluginCall, IsTakenForThatOfAThreadThatHasNone) {
  const PluginCall call("backward", kLayer);
  std::string seen;
  const PluginCode next{"foo", "layer 'blocks.2' (MyLayer)"};
  std::thread([&] {
    seen = where();
    PluginCall::move_to(next);
    const PluginCode own{"foo", "dataset (Rows)"};
    const PluginCall inner("get", own);
    seen += where();
  }).join();
  EXPECT_EQ(seen,
            " in backward of layer 'blocks.3' (MyLayer) of plugin 'foo'"
            " in get of dataset (Rows) of plugin 'foo'");
  EXPECT_EQ(where(), " in backward of layer 'blocks.2' (MyLayer) of plugin 'foo'");
}

TEST(PluginCall, CutsATextThatDoesNotFit) {
  const PluginCall call("forward", kLayer, 12, 0);
  std::array<char, 9> buffer;
  EXPECT_EQ(PluginCall::describe(buffer), " in forwa");
}

TEST(PluginCall, NamesWhatIsThrownOnce) {
  const auto thrown = [](const PluginCode& code) {
    PluginCall("forward", code, 12, 3).run([&] {
      in_plugin(code.plugin, [] { throw std::runtime_error("no luck"); });
    });
  };
  EXPECT_THAT([&] { thrown(kLayer); }, ThrowsMessage<Error>("plugin 'foo': no luck"));
  EXPECT_THAT(
      [&] {
        PluginCall("forward", kLayer, 12, 3).run([] { throw DataError("no luck"); });
      },
      ThrowsMessage<DataError>(
          "plugin 'foo': in forward of layer 'blocks.3' (MyLayer), step 12, microbatch 3: no luck"));
  EXPECT_THAT([&] { thrown({"", "layer 'x' (Own)"}); }, ThrowsMessage<Error>("no luck"));
}

struct Base {
  virtual ~Base() = default;
};
namespace inner {
struct Derived : Base {};
}  // namespace inner

TEST(PluginCode, HasTheNameOfTheClassAndNoPluginOutsideOfOne) {
  const inner::Derived derived;
  const Base& base = derived;
  const PluginCode code = code_of("layer 'x'", base);
  EXPECT_EQ(code.name, "layer 'x' (Derived)");
  EXPECT_EQ(code.plugin, "");
}

}  // namespace
}  // namespace triga
