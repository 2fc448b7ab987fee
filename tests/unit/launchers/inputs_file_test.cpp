// JSON lines of `triga generate --inputs`.
#include "launchers/inputs_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Inputs, AreReadAsTheirJsonSays) {
  const ConfigNode inputs = parse_inputs(
      R"({"prompt": "\ud83d\ude00: [1", "seed": 12, "t": 0.5, "s": "7", "n": null, "l": [true]})",
      "in.jsonl:3");
  EXPECT_EQ(inputs.find("prompt")->scalar, "\xF0\x9F\x98\x80: [1");
  EXPECT_FALSE(inputs.find("seed")->quoted);
  EXPECT_EQ(inputs.find("seed")->scalar, "12");
  EXPECT_EQ(inputs.find("t")->scalar, "0.5");
  EXPECT_TRUE(inputs.find("s")->quoted);
  EXPECT_EQ(inputs.find("n")->kind, ConfigNode::Kind::kNull);
  EXPECT_EQ(inputs.find("l")->items[0].where(), "in.jsonl:3: l[0]");
}

TEST(Inputs, ThatAreNoObjectAreRefusedWithTheirLine) {
  for (const std::string wrong :
       {"[1]", "{\"a\": 1", "{a: 1}", "3", "{} {}", "{\"a\": \"\xFF\"}"}) {
    const std::string message = message_of<ConfigError>([&] { parse_inputs(wrong, "in.jsonl:2"); });
    EXPECT_THAT(message, StartsWith("in.jsonl:2: is no JSON object; expected the inputs")) << wrong;
    EXPECT_THAT(message, Not(HasSubstr("experiment")));
  }
  const std::string deep = "{\"a\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_THAT(message_of<ConfigError>([&] { parse_inputs(deep, "in.jsonl:2"); }),
              StartsWith("in.jsonl:2: more than 64 lists"));
}

TEST(InputsFile, NamesTheLineThatIsWrong) {
  const TemporaryFolder folder;
  const std::string file = folder / "in.jsonl";
  std::ofstream(file) << "{\"seed\": 1}\n\n  {\"seed\": 2}\r\n";
  const auto inputs = read_inputs_file(file);
  ASSERT_EQ(inputs.size(), 2u);
  EXPECT_EQ(inputs[1].find("seed")->where(), file + ":3: seed");
  std::ofstream(file) << "{\"seed\": 1}\n[2]\n";
  EXPECT_THAT(message_of<ConfigError>([&] { read_inputs_file(file); }),
              StartsWith(file + ":2: is"));
  EXPECT_THAT(message_of<DataError>([&] { read_inputs_file(file + "x"); }),
              HasSubstr("cannot read --inputs"));
}

}  // namespace
}  // namespace triga
