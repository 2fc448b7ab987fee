// Text to nodes and back; every refusal names file and line.
#include "config/yaml.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace triga {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using Kind = ConfigNode::Kind;

std::string error_of(const std::string& text) {
  try {
    parse_yaml(text, "a.yaml");
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(Yaml, KnowsLinesPathsAndQuotes) {
  const auto root = parse_yaml(
      "a: 1\nb:\n  c: ['x', {d: \"5\"}]\n  # words\n  e: |\n    text\n    more\n", "a.yaml");
  EXPECT_EQ(root.find("a")->where(), "a.yaml:1: a");
  EXPECT_FALSE(root.find("a")->quoted);
  const auto& list = *root.find("b")->find("c");
  EXPECT_EQ(list.items[0].path, "b.c[0]");
  EXPECT_TRUE(list.items[0].quoted);
  EXPECT_EQ(list.items[1].find("d")->where(), "a.yaml:3: b.c[1].d");
  EXPECT_EQ(root.find("b")->find("e")->scalar, "text\nmore\n");
  EXPECT_EQ(root.find("b")->find("e")->key_line, 5);
}

TEST(Yaml, ReadsNulls) {
  const auto root = parse_yaml("a:\nb: ~\nc: null\nd: 'null'\ne: ''\n", "a.yaml");
  EXPECT_EQ(root.find("a")->kind, Kind::kNull);
  EXPECT_EQ(root.find("b")->kind, Kind::kNull);
  EXPECT_EQ(root.find("c")->kind, Kind::kNull);
  EXPECT_EQ(root.find("d")->kind, Kind::kScalar);
  EXPECT_EQ(root.find("e")->kind, Kind::kScalar);
}

TEST(Yaml, CopiesAliasesToTheirPlaces) {
  const auto root = parse_yaml("a: &x {b: [1, 2]}\nc: *x\n", "a.yaml");
  EXPECT_EQ(root.find("c")->find("b")->items[1].path, "c.b[1]");
  EXPECT_EQ(root.find("c")->find("b")->items[1].scalar, "2");
}

TEST(Yaml, SkipsAByteOrderMark) {
  EXPECT_EQ(error_of("\xEF\xBB\xBF"
                     "a: 1\n"),
            "");
}

TEST(Yaml, RefusesDuplicateKeys) {
  EXPECT_EQ(error_of("a: 1\nb: 2\na: 3\n"),
            "a.yaml:3: key 'a' twice in one mapping, first in line 1; remove one");
  EXPECT_THAT(error_of("x: {a: 1,\n b: 2, a: 3}\n"), StartsWith("a.yaml:2: key 'a' twice"));
}

TEST(Yaml, RefusesTabsInIndentation) {
  EXPECT_THAT(error_of("a:\n\tb: 1\n"), StartsWith("a.yaml:2: a tab in the indentation"));
  EXPECT_EQ(error_of("a: 1\t# a comment\n"), "");
}

TEST(Yaml, RefusesAliasesWithoutAnchorOrInThemselves) {
  EXPECT_THAT(error_of("a: 1\nb: *nothing\n"), HasSubstr("a.yaml:2: not valid YAML"));
  EXPECT_THAT(error_of("a: &x [1, *x]\n"), HasSubstr("inside the value that it stands for"));
}

TEST(Yaml, RefusesAliasBombs) {
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 9; ++j) bomb += before + (j < 8 ? ", " : "]\n");
  }
  EXPECT_THAT(error_of(bomb), HasSubstr("more than 10000 values, counting each use of an alias"));
}

TEST(Yaml, RefusesMergeKeysTagsAndDocuments) {
  EXPECT_THAT(error_of("a: &x {b: 1}\nc:\n  <<: *x\n"),
              StartsWith("a.yaml:3: '<<' (merge) is not supported"));
  EXPECT_THAT(error_of("a: !!str 5\n"), StartsWith("a.yaml:1: tag 'tag:yaml.org,2002:str'"));
  EXPECT_THAT(error_of("a: 1\n---\nb: 1\n"), StartsWith("a.yaml:2: a second document"));
  EXPECT_THAT(error_of("? [a, b]\n: 1\n"), HasSubstr("a key that is not a single word"));
}

TEST(Yaml, RefusesDepthWithoutUsingTheStack) {
  EXPECT_THAT(error_of("a: " + std::string(500000, '[')),
              HasSubstr("more than 64 lists and mappings"));
  EXPECT_THAT(error_of(std::string(400000, '{')), HasSubstr("more than 64"));
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += std::string(static_cast<size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(error_of(lines), HasSubstr("more than 64"));
  std::string dashes;
  for (int i = 0; i < 100000; ++i) dashes += "- ";
  EXPECT_THAT(error_of("a:\n " + dashes), HasSubstr("more than 64"));
}

TEST(Yaml, RefusesWhatIsNoExperiment) {
  EXPECT_THAT(error_of(""), StartsWith("a.yaml: is empty"));
  EXPECT_THAT(error_of("# only words\n\n"), StartsWith("a.yaml: is empty"));
  EXPECT_THAT(error_of("just words\n"), StartsWith("a.yaml:1: is no experiment"));
  EXPECT_THAT(error_of("- a\n- b\n"), StartsWith("a.yaml:1: is no experiment"));
}

TEST(Yaml, RefusesWhatIsNoText) {
  EXPECT_THAT(error_of("a: 1\nb: \xFF\xFE\n"), StartsWith("a.yaml:2: is not UTF-8"));
  EXPECT_THAT(error_of("a: \xC0\x80\n"), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_of("a: \xED\xA0\x80\n"), HasSubstr("not UTF-8"));
  EXPECT_THAT(error_of(std::string("a: 1\nb: \0x\n", 11)),
              StartsWith("a.yaml:2: control character 0"));
  EXPECT_EQ(error_of("a: \xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\n"), "");
}

TEST(Yaml, RefusesNonsenseOfAnySizeSoon) {
  const auto begin = std::chrono::steady_clock::now();
  std::mt19937 random(1);
  EXPECT_THAT(error_of(std::string(10 << 20, 'x')), HasSubstr("more than 1048576 bytes"));
  const std::string letters = "ab:{}[],&*#!|>'\"%@`-? \n\n  ";
  for (int round = 0; round < 3; ++round) {
    std::string text;
    for (int i = 0; i < 1000000; ++i) text += letters[random() % letters.size()];
    EXPECT_NE(error_of(text), "");
  }
  std::string keys;
  for (int i = 0; i < 100000; ++i) keys += "k" + std::to_string(i) + ": 1\n";
  EXPECT_THAT(error_of(keys), HasSubstr("more than 10000 values"));
  EXPECT_THAT(error_of("a: \"" + std::string(1000000, 'x')), HasSubstr("a quote is not closed"));
  EXPECT_EQ(error_of("a: " + std::string(1000000, 'x')), "");
  EXPECT_EQ(error_of(std::string(1000000, '#') + "\na: 1\n"), "");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  EXPECT_LT(seconds.count(), 8);  // eight texts
}

TEST(Yaml, RefusesAQuoteThatIsNotClosedAtItsLine) {
  for (const std::string open :
       {"\"uncl", "'uncl", "'it''s", "\"a \\\"", "&x 'uncl", "[1, \"uncl", "{b: 'uncl"})
    for (const std::string rest : {"", "\n", "\r\n", "\n  \n", "\nc: 1\nd:\n  e: 2\n"})
      EXPECT_THAT(error_of("\xC3\xA4: 1\na: " + open + rest),
                  StartsWith("a.yaml:2: a quote is not closed"))
          << open << rest;
  EXPECT_THAT(error_of("a: 1\n'b: 2\n"), StartsWith("a.yaml:2: a quote is not closed"));
  for (const std::string closed :
       {"''", "'it''s'", "\"\\\"\"", "\"\\\\\"", "&x 'a'", "'two\n  lines'", "it's", "a \"word\""})
    EXPECT_EQ(error_of("a: " + closed), "") << closed;
}

TEST(Yaml, SaysWhatIsUsuallyBehindAMessage) {
  EXPECT_THAT(error_of("a: {b: 1\nc: 2\n"), HasSubstr("a '{' is not closed"));
  EXPECT_THAT(error_of("a: [1, 2\n"), HasSubstr("a '[' is not closed"));
  EXPECT_THAT(error_of("a: 1\n b: 2\n"), HasSubstr("indentation"));
  EXPECT_THAT(error_of("a: b: c\n"), HasSubstr("needs quotes"));
  EXPECT_THAT(error_of("a: \"\\d\"\n"), HasSubstr("single quotes"));
  EXPECT_THAT(error_of("a: @x\n"), HasSubstr("needs quotes"));
}

/// What decides how a node is read: kinds, texts, and quotes where they make a text of what looks
/// like something else.
std::string meaning(const ConfigNode& node) {
  return write_json(node);
}

ConfigNode random_node(std::mt19937& random, int depth) {
  static const std::vector<std::string> kTexts = {"abc",
                                                  "a b",
                                                  "",
                                                  "5",
                                                  "-0.5",
                                                  "1e3",
                                                  "true",
                                                  "null",
                                                  "~",
                                                  "yes",
                                                  "a: b",
                                                  "- a",
                                                  "#x",
                                                  "x #y",
                                                  "'",
                                                  "\"",
                                                  "\\",
                                                  "line\nline",
                                                  "tab\t",
                                                  "\x01",
                                                  "${data}",
                                                  "&a",
                                                  "*a",
                                                  "!t",
                                                  "%d",
                                                  "@",
                                                  "`",
                                                  "[",
                                                  "]",
                                                  "{",
                                                  "}",
                                                  ",",
                                                  "?",
                                                  "|",
                                                  "\xC3\xA4",
                                                  "\xE2\x80\xA8",
                                                  "\xEF\xBB\xBF",
                                                  "\r",
                                                  " x ",
                                                  "2024-01-01",
                                                  "1_000",
                                                  "0x1F",
                                                  "<<",
                                                  "=",
                                                  ".",
                                                  "-",
                                                  "a:",
                                                  ":a"};
  const auto pick = [&](size_t n) { return static_cast<size_t>(random() % n); };
  const auto kind = pick(depth > 3 ? 2 : 5);
  if (kind == 0) return ConfigNode{};
  if (kind <= 2) {
    const auto& text = kTexts[pick(kTexts.size())];
    return ConfigNode::make_scalar(text, true);
  }
  auto node = kind == 3 ? ConfigNode::make_sequence() : ConfigNode::make_mapping();
  for (size_t i = pick(4); i > 0; --i) {
    if (kind == 3)
      node.items.push_back(random_node(random, depth + 1));
    else
      node.add(kTexts[pick(kTexts.size())] + std::to_string(i), random_node(random, depth + 1));
  }
  return node;
}

TEST(YamlWriter, WritesWhatReadsBackTheSame) {
  std::mt19937 random(7);
  for (int round = 0; round < 3000; ++round) {
    auto root = ConfigNode::make_mapping();
    root.add("root", random_node(random, 0));
    root.add("number", ConfigNode::make_scalar("-1.5e-07"));
    root.add("flag", ConfigNode::make_scalar("true"));
    const auto text = write_yaml(root);
    ASSERT_EQ(meaning(parse_yaml(text, "a.yaml")), meaning(root)) << text;
  }
}

TEST(YamlWriter, WritesForReading) {
  const auto root =
      parse_yaml("a: {b: [1, 2], c: {d: 'x y', e: {}}}\nf: [{g: 1, h: [a]}, {g: 2}]\n", "a.yaml");
  EXPECT_EQ(
      write_yaml(root),
      "a:\n  b: [1, 2]\n  c:\n    d: \"x y\"\n    e: {}\nf:\n  - g: 1\n    h: [a]\n  - g: 2\n");
}

TEST(JsonWriter, KeepsTypes) {
  const auto root = parse_yaml("a: 5\nb: '5'\nc: true\nd: null\ne: 1e-3\nf: [x]\n", "a.yaml");
  EXPECT_EQ(write_json(root),
            "{\n  \"a\": 5,\n  \"b\": \"5\",\n  \"c\": true,\n  \"d\": null,\n  \"e\": 0.001,\n  "
            "\"f\": [\n    \"x\"\n  ]\n}\n");
}

}  // namespace
}  // namespace triga
