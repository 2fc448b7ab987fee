#include "base/plugin_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <future>
#include <new>
#include <optional>
#include <thread>

#include "base/files.h"
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
  const PluginCall call("backward", kLayer, 12, 0);
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
            " in backward of layer 'blocks.3' (MyLayer) of plugin 'foo', step 12, microbatch 0"
            " in get of dataset (Rows) of plugin 'foo'");
  EXPECT_EQ(where(),
            " in backward of layer 'blocks.2' (MyLayer) of plugin 'foo', step 12, microbatch 0");
}

TEST(PluginCall, OfALoaderIsNotTakenForThatOfThreadsWithoutOne) {
  const PluginCode own{"foo", "dataset (Rows)"};
  std::promise<void> is_loading, is_seen;
  std::optional<PluginCall> call(std::in_place, "backward", kLayer, 12, 0);
  std::thread loader([&] {
    const PluginCall get("get", own);
    is_loading.set_value();
    is_seen.get_future().wait();
  });
  is_loading.get_future().wait();
  std::string during, after;
  std::thread([&] { during = where(); }).join();
  call.reset();
  std::thread([&] { after = where(); }).join();
  is_seen.set_value();
  loader.join();
  EXPECT_EQ(during,
            " in backward of layer 'blocks.3' (MyLayer) of plugin 'foo', step 12, microbatch 0");
  EXPECT_EQ(after, "");
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
  EXPECT_THAT([&] { PluginCall("forward", kLayer, 12, 3).run([] { throw DataError("no luck"); }); },
              ThrowsMessage<DataError>("plugin 'foo': in forward of layer 'blocks.3' (MyLayer), "
                                       "step 12, microbatch 3: no luck"));
  EXPECT_THAT([&] { thrown({"", "layer 'x' (Own)"}); }, ThrowsMessage<Error>("no luck"));
  const auto in_foo = [](auto error) { in_plugin("foo", [&] { throw error; }); };
  EXPECT_THAT(
      [&] { in_foo(FileError("read", "rows.csv", ENOENT)); },
      ThrowsMessage<FileError>("plugin 'foo': cannot read rows.csv: No such file or directory"));
  EXPECT_THAT([&] { in_foo(std::bad_alloc()); },
              ThrowsMessage<OutOfMemoryError>("plugin 'foo': out of memory"));
  EXPECT_THAT([&] { in_foo(3); },
              ThrowsMessage<Error>("plugin 'foo': threw something that is not a std::exception"));
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
