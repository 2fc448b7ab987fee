// Byte-pair encoding: merging, learning, and what is refused. Ids and vocabularies of a library for
// the same files and texts are compared in tests/parity/byte_bpe.py.
#include <gmock/gmock.h>

#include <algorithm>
#include <random>

#include "data/bpe_training.h"
#include "data/byte_bpe_tokenizer.h"
#include "data/byte_level.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/data/tokenizer_kinds.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::TemporaryFolder;

ByteBpeModel bytes_and(const std::vector<std::pair<std::string, std::string>>& merges) {
  ByteBpeModel model;
  for (const std::string& name : byte_names()) model.names.push_back(name);
  model.merges = merges;
  for (const auto& [left, right] : merges) model.names.push_back(left + right);
  return model;
}

/// The definition, word for word: again and again the earliest merge that is there, leftmost first.
std::vector<int32_t> merged_slowly(const ByteBpeModel& model, std::string_view piece) {
  std::vector<std::string> parts;
  for (const char byte : piece) parts.push_back(byte_names()[static_cast<unsigned char>(byte)]);
  for (bool is_changed = true; is_changed;) {
    is_changed = false;
    for (const auto& [left, right] : model.merges) {
      for (size_t i = 0; i + 1 < parts.size() && !is_changed; ++i)
        if (parts[i] == left && parts[i + 1] == right) {
          parts[i] += right;
          parts.erase(parts.begin() + static_cast<ptrdiff_t>(i) + 1);
          is_changed = true;
        }
      if (is_changed) break;
    }
  }
  std::vector<int32_t> ids;
  for (const std::string& part : parts)
    ids.push_back(static_cast<int32_t>(std::find(model.names.begin(), model.names.end(), part) -
                                       model.names.begin()));
  return ids;
}

TEST(ByteBpe, MergesInTheOrderOfTheMerges) {
  const ByteBpeModel model =
      bytes_and({{"b", "a"}, {"a", "b"}, {"ab", "ab"}, {"a", "a"}, {"aa", "b"}, {"ba", "a"}});
  const ByteBpeTokenizer tokenizer(model, "");
  std::mt19937 random(1);
  for (int i = 0; i < 300; ++i) {
    std::string text;
    for (unsigned length = 1 + random() % 12; text.size() < length;) text += "ab"[random() % 2];
    EXPECT_EQ(tokenizer.encode(text), merged_slowly(model, text)) << text;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
}

TEST(ByteBpe, TakesTheLongestOfAddedTokens) {
  ByteBpeModel model = bytes_and({});
  model.names.insert(model.names.end(), {"<a>", "<a><b>"});
  model.added = {{"<a>", 256, true}, {"<a><b>", 257, true}};
  const ByteBpeTokenizer tokenizer(model, "<a>");
  EXPECT_EQ(tokenizer.end_of_text(), 256);
  EXPECT_THAT(tokenizer.encode("<a><b><a>x<"), ElementsAre(257, 256, 'x', '<'));
  EXPECT_EQ(tokenizer.decode({257, 'x', 256}), "<a><b>x<a>");
}

TEST(ByteBpe, TellsTheIdOfATokenByItsText) {
  ByteBpeModel model = bytes_and({{"a", "b"}});
  model.names.push_back("[MASK]");
  model.added = {{"[MASK]", 257, true}};
  const ByteBpeTokenizer tokenizer(model, "");
  EXPECT_EQ(tokenizer.token_id("[MASK]"), 257);
  EXPECT_EQ(tokenizer.token_id("ab"), 256);
  EXPECT_EQ(tokenizer.token_id("\u0120"), ' ');
  EXPECT_EQ(tokenizer.token_id("[CLS]"), std::nullopt);
  EXPECT_EQ(tokenizer.token_id(""), std::nullopt);
}

TEST(ByteBpe, ReadsBrokenTextAsReplacementCharacters) {
  const ByteBpeTokenizer tokenizer(bytes_and({}), "");
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\xFFz")), "a\uFFFDz");
  EXPECT_EQ(tokenizer.decode({0xE2, 0x82}), "\uFFFD");
  EXPECT_THROW(tokenizer.decode({256}), Error);
}

TEST(ByteBpe, IsReadFromWhatItWrites) {
  ByteBpeModel model = bytes_and({{"a", "b"}, {"ab", "\u0120"}});
  model.names.push_back("<end>");
  model.added = {{"<end>", 258, true}};
  model.adds_prefix_space = true;
  const ByteBpeTokenizer written(model, "<end>");
  const ByteBpeTokenizer read(parse_tokenizer_json(written.files().at("tokenizer.json"), "file"),
                              "<end>");
  EXPECT_EQ(read.files(), written.files());
  EXPECT_EQ(read.encode("ab ab<end>ab"), written.encode("ab ab<end>ab"));
}

TEST(BytePairTraining, MergesTheMostFrequentPairFirstAndTheLowestIdsOfEqualOnes) {
  BytePairTraining training;
  training.add("abab abab cdc");  // pieces: "abab", " abab", " cdc"
  const auto learned = training.train({.special_tokens = {"<end>"}, .vocab_size = 259});
  ASSERT_EQ(learned.tokens.size(), 259u);
  EXPECT_EQ(learned.tokens[0], "");
  EXPECT_EQ(learned.tokens[257], "ab");    // 4 times
  EXPECT_EQ(learned.tokens[258], "abab");  // twice
}

TEST(BytePairTraining, StopsWhenNoPairIsFrequent) {
  BytePairTraining training;
  training.add("abc");
  EXPECT_EQ(training.train({.vocab_size = 300}).tokens.size(), 256u);
}

/// Against counting anew after each merge.
TEST(BytePairTraining, KeepsItsCountsRight) {
  std::mt19937 random(2);
  std::string text;
  for (int i = 0; i < 600; ++i) text += " aabbc"[random() % 6];
  BytePairTraining training;
  training.add(text);
  const auto learned = training.train({.vocab_size = 290});
  std::vector<std::vector<std::string>> words;
  for_each_piece(text, [&](std::string_view piece) {
    words.emplace_back();
    for (const char byte : piece) words.back().emplace_back(1, byte);
  });
  for (const auto& [left, right] : learned.merges) {
    const std::string& first = learned.tokens[static_cast<size_t>(left)];
    const std::string& second = learned.tokens[static_cast<size_t>(right)];
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& word : words)
      for (size_t i = 1; i < word.size(); ++i) ++counts[{word[i - 1], word[i]}];
    int64_t most = 0;
    for (const auto& [pair, count] : counts) most = std::max(most, count);
    EXPECT_EQ((counts[{first, second}]), most) << first << "+" << second;
    for (auto& word : words)
      for (size_t i = 1; i < word.size(); ++i)
        if (word[i - 1] == first && word[i] == second) {
          word[i - 1] += second;
          word.erase(word.begin() + static_cast<ptrdiff_t>(i));
        }
  }
  EXPECT_EQ(learned.merges.size(), 34u);
}

std::unique_ptr<Tokenizer> make(const test::TokenizerOptions& options,
                                const TokenizerContext& context = {}) {
  return test::make_tokenizer("byte_bpe", options, context);
}

std::string refusal(const test::TokenizerOptions& options, const TokenizerContext& context = {}) {
  return test::refusal_of_tokenizer("byte_bpe", options, context);
}

class Learning : public testing::Test {
 protected:
  TokenizerContext context(const std::string& text, const std::string& cache_dir) {
    return text_.context(text, cache_dir);
  }
  test::TrainingText text_;
  int& num_readings_ = text_.num_readings;
  TemporaryFolder folder_;
};

TEST_F(Learning, IsDoneOnceForTheSameText) {
  const auto first = make({{"vocab_size", "258"}}, context("abab", folder_ / "cache"));
  EXPECT_EQ(num_readings_, 2);  // to know the text, and to learn
  const auto again = make({{"vocab_size", "258"}}, context("abab", folder_ / "cache"));
  EXPECT_EQ(num_readings_, 3);
  EXPECT_EQ(again->files(), first->files());
  const auto other = make({{"vocab_size", "258"}}, context("cdcd", folder_ / "cache"));
  EXPECT_EQ(num_readings_, 5);
  EXPECT_NE(other->files(), first->files());
}

TEST_F(Learning, DoesWithoutACacheThatCannotBeWritten) {
  folder_.write("file", "not a folder");
  const auto tokenizer = make({{"vocab_size", "258"}}, context("abab", folder_ / "file"));
  EXPECT_EQ(tokenizer->vocab_size(), 258);
}

TEST_F(Learning, GivesWayToTheCheckpoints) {
  TokenizerContext opened = context("cdcd", "");
  opened.files = make({{"vocab_size", "258"}}, context("abab", ""))->files();
  const auto files = opened.files;
  opened.files["config.json"] = "{}";  // a model's own
  num_readings_ = 0;
  EXPECT_EQ(make({{"vocab_size", "258"}}, opened)->files(), files);
  EXPECT_EQ(num_readings_, 0);
}

TEST(ByteBpeKind, IsEitherReadOrLearned) {
  EXPECT_THAT(refusal({}), HasSubstr("give one of them"));
  EXPECT_THAT(refusal({{"from", "a"}, {"vocab_size", "300"}}), HasSubstr("are both given"));
  EXPECT_THAT(refusal({{"vocab_size", "300"}}), HasSubstr("is not read here"));
}

TEST(ByteBpeKind, SaysWhatIsMissing) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal({{"from", folder / "none"}}), HasSubstr("no such file or folder"));
  EXPECT_THAT(refusal({{"from", folder.path().string()}}),
              HasSubstr("a folder without tokenizer.json"));
}

TEST(ByteBpeKind, SaysWhichIsAFileThatCannotBeRead) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json/file", "");  // a folder of that name
  EXPECT_THAT(refusal({{"from", folder.path().string()}}), HasSubstr("tokenizer.json"));
}

/// A tokenizer.json with one thing changed.
std::string changed(const std::string& from, const std::string& to) {
  ByteBpeModel model = bytes_and({{"a", "b"}});
  model.names.push_back("<|endoftext|>");
  model.added = {{"<|endoftext|>", 257, true}};
  std::string json = to_tokenizer_json(model);
  const size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

TEST(ByteBpeKind, RefusesFilesOfAnotherSort) {
  const TemporaryFolder folder;
  const struct {
    std::string json, says;
  } kCases[] = {
      {"[]", "not a JSON object"},
      {"{\"a\": 1", "not a JSON object"},
      {"{}", "it has no model.vocab"},
      {changed("\"type\": \"BPE\"", "\"type\": \"Unigram\""), "model.type: \"Unigram\""},
      {changed("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}"),
       "tokenizer.normalizer"},
      {changed("\"type\": \"ByteLevel\"", "\"type\": \"Metaspace\""), "pre_tokenizer is Metaspace"},
      {changed("\"post_processor\": null",
               "\"post_processor\": {\"type\": \"TemplateProcessing\"}"),
       "post_processor is TemplateProcessing"},
      {changed("\"byte_fallback\": false", "\"byte_fallback\": true"), "model.byte_fallback"},
      {changed("\"lstrip\": false", "\"lstrip\": true"), "added token <|endoftext|>.lstrip: true"},
      {changed("\"id\": 257", "\"id\": 5"), "has the id 5 of"},
      {changed("\"id\": 257", "\"id\": -1"), "expected content and id"},
      {changed("\"ab\": 256", "\"ab\": 1e99"), "the id of 'ab' is"},
      {changed("\"ab\": 256", "\"ab\": 3"), "have the same id 3"},
      {changed("\"ab\": 256", "\"aa\": 256"), "which is no token of the vocabulary"},
      {changed("\"a b\"", "\"a\""), "expected two tokens with a space between"},
      {changed("\"a b\"", "[\"a\", 1]"), "expected two tokens"},
      {changed("\"a b\"", "\"a \u65E5\""), "which the vocabulary does not have"},
      {changed("\"merges\": [", "\"merges\": 3, \"x\": ["), "model.merges: not a list"},
      {changed("\"Q\": 81", "\"QQ\": 81"), "no token for byte 0x51 ('Q')"},
      {changed("\"content\": \"<|endoftext|>\"", "\"content\": \"<end>\""), "has the id 257 of"},
  };
  for (const auto& [json, says] : kCases) {
    folder.write("tokenizer.json", json);
    EXPECT_THAT(refusal({{"from", folder / "tokenizer.json"}}), HasSubstr(says))
        << json.substr(0, 200);
  }
  folder.write("tokenizer.json", changed("\"a b\"", "[\"a\", \"b\"]"));  // as newer versions write
  EXPECT_EQ(make({{"from", folder / "tokenizer.json"}})->vocab_size(), 258);
  EXPECT_THAT(refusal({{"from", folder / "tokenizer.json"}, {"end_of_text", "</s>"}}),
              HasSubstr("'</s>' is no added token of the tokenizer; it has '<|endoftext|>'"));
}

}  // namespace
}  // namespace triga
