// One description: reading, errors, writing, schema.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "triga/config.h"

namespace triga {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

enum class Mode { kMin, kMax };

struct Inner {
  int64_t size = 3;
  std::string name = "x";
};

void describe(Fields& fields, Inner& config) {
  fields.field("size", config.size).help("Size.").at_least(1).unit("bytes").known_as({"n_size"});
  fields.field("name", config.name).help("Name.").one_of({"x", "yes"});
}

struct Outer {
  bool flag = false;
  double rate = 0.5;
  Mode mode = Mode::kMin;
  Inner inner;
  std::optional<int64_t> limit;
  std::vector<double> betas = {0.9, 0.999};
  std::vector<Inner> list;
  std::map<std::string, int64_t> sizes;
  int64_t needed = 0;
};

void describe(Fields& fields, Outer& config) {
  fields.field("flag", config.flag).help("Flag.");
  fields.field("rate", config.rate).help("Rate.").above(0).at_most(1).known_as({"lr"});
  fields.choice("mode", config.mode, {{"min", Mode::kMin}, {"max", Mode::kMax}}).help("Mode.");
  fields.field("inner", config.inner).help("Inner.");
  fields.field("limit", config.limit).help("Limit.").at_least(1).empty_word("auto");
  fields.field("betas", config.betas).help("Betas.").at_least(0).below(1);
  fields.field("list", config.list).help("List.");
  fields.field("sizes", config.sizes).help("Sizes.");
  fields.field("needed", config.needed).help("Needed.").required();
  fields.hint({"gradient_accumulation_steps"}, "there is no such key: use rate");
  fields.rule("rate", [&config]() -> std::optional<std::string> {
    if (!config.flag || config.rate < 1) return std::nullopt;
    return "must be below 1 when flag is true";
  });
}

/// A mapping as a file would give it: line i holds entry i.
class Mapping {
 public:
  explicit Mapping(std::string path = "") { set_place(node_, std::move(path), 1); }
  Mapping& add(const std::string& key, ConfigNode value) {
    const int line = static_cast<int>(node_.entries.size()) + 1;
    set_place(value, node_.path.empty() ? key : node_.path + "." + key, line);
    value.key_line = line;
    node_.add(key, std::move(value));
    return *this;
  }
  Mapping& add(const std::string& key, const char* text) {
    return add(key, ConfigNode::make_scalar(text));
  }
  operator ConfigNode() const { return node_; }  // NOLINT: short tests

 private:
  static void set_place(ConfigNode& node, std::string path, int line) {
    node.file = "a.yaml";
    node.line = line;
    node.path = std::move(path);
    if (node.kind == ConfigNode::Kind::kNull) node.kind = ConfigNode::Kind::kMapping;
  }
  ConfigNode node_ = ConfigNode::make_mapping();
};

std::vector<std::string> problems_of(const ConfigNode& node) {
  std::vector<std::string> messages;
  try {
    read_config<Outer>(node);
  } catch (const ConfigError& error) {
    for (const auto& problem : error.problems) messages.push_back(problem.message);
  }
  return messages;
}

ConfigNode with(const std::string& key, ConfigNode value) {
  return Mapping().add("needed", "1").add(key, std::move(value));
}

std::vector<std::string> problems_with(const std::string& key, const char* text) {
  return problems_of(with(key, ConfigNode::make_scalar(text)));
}

TEST(Fields, ReadEveryType) {
  auto betas = ConfigNode::make_sequence();
  betas.items = {ConfigNode::make_scalar("0.8"), ConfigNode::make_scalar("0")};
  auto list = ConfigNode::make_sequence();
  list.items = {Mapping().add("size", "0x10"), Mapping()};
  const ConfigNode node = Mapping()
                              .add("flag", "true")
                              .add("rate", "6.0e-4")
                              .add("mode", "max")
                              .add("inner", Mapping("inner").add("name", "yes"))
                              .add("limit", "7")
                              .add("betas", betas)
                              .add("list", list)
                              .add("sizes", Mapping("sizes").add("a", "-5"))
                              .add("needed", "9223372036854775807");
  const auto config = read_config<Outer>(node);
  EXPECT_TRUE(config.flag);
  EXPECT_EQ(config.rate, 6.0e-4);
  EXPECT_EQ(config.mode, Mode::kMax);
  EXPECT_EQ(config.inner.name, "yes");
  EXPECT_EQ(config.inner.size, 3);
  EXPECT_EQ(config.limit, 7);
  EXPECT_THAT(config.betas, ElementsAre(0.8, 0));
  ASSERT_EQ(config.list.size(), 2u);
  EXPECT_EQ(config.list[0].size, 16);
  EXPECT_EQ(config.sizes.at("a"), -5);
  EXPECT_EQ(config.needed, INT64_MAX);
}

TEST(Fields, ReadWhatTheyWrote) {
  Outer config;
  config.needed = 4;
  config.rate = 0.1;
  config.mode = Mode::kMax;
  config.list.resize(1);
  config.sizes["b"] = 2;
  const auto again = read_config<Outer>(write_config(config));
  EXPECT_EQ(again.rate, 0.1);
  EXPECT_EQ(again.mode, Mode::kMax);
  EXPECT_EQ(again.list.size(), 1u);
  EXPECT_EQ(again.sizes, config.sizes);
  EXPECT_FALSE(again.limit.has_value());
  EXPECT_EQ(write_config(config).find("limit")->scalar, "auto");
}

TEST(Fields, ReportAllProblemsInTheOrderOfTheFile) {
  const auto problems =
      problems_of(Mapping().add("rate", "2").add("flg", "true").add("flag", "yes"));
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_EQ(problems[0], "a.yaml:1: rate: 2 is out of range; allowed: above 0 and at most 1");
  EXPECT_EQ(problems[1], "a.yaml:1: needed: is missing; expected an integer. Needed.");
  EXPECT_THAT(
      problems[2],
      HasSubstr("a.yaml:2: flg: unknown key; did you mean flag? Allowed here: flag, rate,"));
  EXPECT_EQ(problems[3], "a.yaml:3: flag: 'yes' is not true or false; write true");
}

TEST(Fields, RefuseWhatIsNoInteger) {
  EXPECT_THAT(problems_with("needed2", "1"), ElementsAre(HasSubstr("did you mean needed?")));
  EXPECT_THAT(problems_with("limit", "50.5"),
              ElementsAre("a.yaml:2: limit: 50.5 is not an integer, nor the word auto"));
  EXPECT_THAT(problems_with("limit", "1e3"),
              ElementsAre(HasSubstr("is not an integer; write 1000")));
  EXPECT_THAT(problems_with("limit", "1_000"), ElementsAre(HasSubstr("write 1000")));
  EXPECT_THAT(problems_with("limit", "99999999999999999999"), ElementsAre(HasSubstr("64 bits")));
  EXPECT_THAT(problems_with("limit", "ten"), ElementsAre(HasSubstr("'ten' is not an integer")));
  EXPECT_THAT(problems_of(with("limit", ConfigNode::make_scalar("50", true))),
              ElementsAre(HasSubstr("write 50 without quotes")));
  EXPECT_THAT(problems_of(with("limit", ConfigNode::make_sequence())),
              ElementsAre(HasSubstr("expected an integer, got a list")));
}

TEST(Fields, RefuseWhatIsNoFiniteNumber) {
  EXPECT_THAT(problems_with("rate", ".inf"), ElementsAre(HasSubstr("not a finite number")));
  EXPECT_THAT(problems_with("rate", "1e999"), ElementsAre(HasSubstr("not a finite number")));
  EXPECT_THAT(problems_with("rate", "half"), ElementsAre(HasSubstr("'half' is not a number")));
  EXPECT_THAT(problems_with("rate", "-.5"), ElementsAre(HasSubstr("out of range")));
}

TEST(Fields, TestRangesOfEachNumberOfAList) {
  auto betas = ConfigNode::make_sequence();
  betas.items = {ConfigNode::make_scalar("0.9"), ConfigNode::make_scalar("1")};
  EXPECT_THAT(problems_of(with("betas", betas)),
              ElementsAre("a.yaml:2: betas: 1 is out of range; allowed: at least 0 and below 1"));
}

TEST(Fields, NameTheUnitOfARange) {
  EXPECT_THAT(problems_of(with("inner", Mapping("inner").add("size", "0"))),
              ElementsAre("a.yaml:1: inner.size: 0 is out of range; allowed: at least 1 byte"));
}

TEST(Fields, SayHowOneValueIsWrittenAsAList) {
  EXPECT_THAT(problems_with("betas", "0.9"),
              ElementsAre("a.yaml:2: betas: expected a list, got '0.9'; write [0.9]"));
  EXPECT_THAT(problems_of(with("betas", ConfigNode::make_scalar("a \"b\"", true))),
              ElementsAre(HasSubstr(R"(got 'a "b"'; write ["a \"b\""])")));
}

TEST(Fields, NameTheWordsAllowed) {
  EXPECT_THAT(problems_with("mode", "mx"),
              ElementsAre("a.yaml:2: mode: 'mx' is not one of: min, max; did you mean max?"));
  EXPECT_THAT(problems_of(with("inner", Mapping("inner").add("name", "z"))),
              ElementsAre(HasSubstr("'z' is not one of: x, yes")));
}

TEST(Fields, AnswerNamesOfOtherToolsWhereverTheyStand) {
  EXPECT_THAT(problems_with("lr", "1"),
              ElementsAre(HasSubstr("unknown key; Triga calls it rate.")));
  EXPECT_THAT(problems_with("n_size", "1"), ElementsAre(HasSubstr("Triga calls it inner.size.")));
  EXPECT_THAT(
      problems_of(with("inner", Mapping("inner").add("lr", "1"))),
      ElementsAre(HasSubstr("inner.lr: unknown key; Triga calls it rate. Allowed here: size")));
  EXPECT_THAT(problems_with("gradient_accumulation_steps", "1"),
              ElementsAre(HasSubstr("unknown key; there is no such key: use rate.")));
}

TEST(Fields, SayWhereAMisplacedKeyBelongs) {
  EXPECT_THAT(problems_of(with("inner", Mapping("inner").add("betas", "1"))),
              ElementsAre(HasSubstr("inner.betas: unknown key; it belongs to betas.")));
  EXPECT_THAT(problems_with("size", "1"),
              ElementsAre(HasSubstr("it belongs to inner.size or list.size.")));
}

TEST(Fields, TestRulesOnceAllCouldBeRead) {
  const ConfigNode node = Mapping().add("needed", "1").add("flag", "true").add("rate", "1");
  EXPECT_THAT(problems_of(node), ElementsAre("a.yaml:3: rate: must be below 1 when flag is true"));
}

TEST(Fields, LeaveOtherKeysToTheCallerButNameThem) {
  const ConfigNode node = Mapping().add("kind", "adamw").add("size", "5");
  EXPECT_EQ(read_config<Inner>(node, {{"kind"}, {}}).size, 5);
  const ConfigNode misspelt = Mapping().add("kid", "adamw");
  try {
    read_config<Inner>(misspelt, {{"kind"}, {}});
    FAIL() << "did not throw";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean kind? Allowed here: kind, size, name"));
  }
}

TEST(Fields, SchemaHoldsHelpRangesAndDefaults) {
  const auto schema = config_schema<Outer>();
  const auto* properties = schema.find("properties");
  ASSERT_NE(properties, nullptr);
  const auto* rate = properties->find("rate");
  EXPECT_EQ(rate->find("type")->scalar, "number");
  EXPECT_EQ(rate->find("exclusiveMinimum")->scalar, "0");
  EXPECT_EQ(rate->find("maximum")->scalar, "1");
  EXPECT_EQ(rate->find("default")->scalar, "0.5");
  EXPECT_EQ(properties->find("betas")->find("items")->find("minimum")->scalar, "0");
  EXPECT_EQ(properties->find("limit")->find("anyOf")->items[1].find("enum")->items[0].scalar,
            "auto");
  EXPECT_EQ(schema.find("required")->items[0].scalar, "needed");
}

TEST(Paths, AreRelativeToTheFileOrToTheWorkingDirectory) {
  struct Config {
    ConfigPath path;
  } config;
  const auto bound = detail::bind(config.path);
  auto node = ConfigNode::make_scalar("data/x.txt");
  bound->read(node, {});
  EXPECT_THAT(config.path.path,
              testing::AllOf(testing::StartsWith("/"), testing::EndsWith("/data/x.txt")));
  node.file = "/etc/exp/a.yaml";
  node.line = 3;
  bound->read(node, {});
  EXPECT_EQ(config.path.path, "/etc/exp/data/x.txt");
  node.scalar = "../*.txt";
  bound->read(node, {});
  EXPECT_EQ(config.path.path, "/etc/*.txt");
  node.scalar = "~/x";
  EXPECT_THROW(bound->read(node, {}), ConfigError);
}

}  // namespace
}  // namespace triga
