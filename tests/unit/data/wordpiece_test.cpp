// WordPiece: how words are cut, learning, and what is refused. Ids and vocabularies of a library for the
// same files and texts are compared in tests/parity/wordpiece.py.
#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "data/wordpiece_tokenizer.h"
#include "data/wordpiece_training.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/data/tokenizer_kinds.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::triga::test::TemporaryFolder;

const std::vector<std::string> kSpecial = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

/// The special tokens, then these pieces.
WordPieceModel model_of(const std::vector<std::string>& pieces) {
  WordPieceModel model;
  model.names = kSpecial;
  model.names.insert(model.names.end(), pieces.begin(), pieces.end());
  model.add_special_tokens();
  return model;
}

/// The definition, word for word: of all vocabularies' pieces the longest that fits, from the left.
std::vector<int32_t> cut_slowly(const std::vector<std::string>& names, const std::string& word) {
  std::vector<int32_t> ids;
  for (size_t at = 0; at < word.size();) {
    size_t longest = 0;
    int32_t id = 1;
    for (size_t i = kSpecial.size(); i < names.size(); ++i) {
      const bool goes_on = names[i].starts_with("##");
      const std::string piece = goes_on ? names[i].substr(2) : names[i];
      if (goes_on != (at > 0) || word.compare(at, piece.size(), piece) != 0) continue;
      if (piece.size() > longest) longest = piece.size(), id = static_cast<int32_t>(i);
    }
    if (longest == 0) return {1};
    ids.push_back(id);
    at += longest;
  }
  return ids;
}

TEST(WordPiece, CutsTheLongestPiecesFromTheLeft) {
  const WordPieceModel model =
      model_of({"a", "ab", "aba", "ba", "##a", "##ab", "##bb", "##babb", "##c"});
  const WordPieceTokenizer tokenizer(model, "");
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    std::string word;
    for (unsigned length = 1 + random() % 10; word.size() < length;) word += "aabbc"[random() % 5];
    EXPECT_EQ(tokenizer.encode(word), cut_slowly(model.names, word)) << word;
  }
}

TEST(WordPiece, ReadsWhatHasNoPiecesAsUnknown) {
  WordPieceModel model = model_of({"a", "##a", "\u00DF", "##\u00DF"});
  model.pieces.max_input_chars_per_word = 3;
  const WordPieceTokenizer tokenizer(model, "");
  EXPECT_THAT(tokenizer.encode("aaa aaaa ab \u00DF\u00DF\u00DF b"),
              ElementsAre(5, 6, 6, 1, 1, 7, 8, 8, 1));
  EXPECT_THAT(tokenizer.encode("a\xFFz a\xFF"), ElementsAre(1, 5));  // U+FFFD is cleaned away
}

TEST(WordPiece, FindsAddedTokensBeforeWords) {
  WordPieceModel model = model_of({"a", "mask", "[", "]"});
  model.added.push_back({"[MASK]x", 9, false});
  model.added.push_back({"A b", 10, false, /*is_normalized=*/true});
  const WordPieceTokenizer tokenizer(model, "[SEP]");
  EXPECT_THAT(tokenizer.encode("a[MASK]a[MASK]x[mask]"), ElementsAre(5, 4, 5, 9, 7, 6, 8));
  EXPECT_THAT(tokenizer.encode("a a B[SEP]"), ElementsAre(5, 10, 3));
  EXPECT_EQ(tokenizer.vocab_size(), 11);
  EXPECT_EQ(tokenizer.end_of_text(), 3);
  EXPECT_EQ(tokenizer.decode({4, 9, 10}), "[MASK] [MASK]x a b");
  EXPECT_EQ(tokenizer.token_id("A b"), 10);
}

TEST(WordPiece, DecodesIntoWordsWithoutSpacesBeforeSigns) {
  WordPieceModel model = model_of({"do", "##ing", "n't", ".", "'", "s"});
  const std::vector<int32_t> tokens = {6, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(WordPieceTokenizer(model, "").decode(tokens), "##ing doingn't. ' s");
  model.cleans_up = false;
  const WordPieceTokenizer tokenizer(model, "");
  EXPECT_EQ(tokenizer.decode(tokens), "##ing doing n't . ' s");
  EXPECT_EQ(tokenizer.decode({}), "");
  EXPECT_THROW(tokenizer.decode({11}), Error);
  EXPECT_THROW(tokenizer.decode({-1}), Error);
}

TEST(WordPiece, TellsTheIdOfATokenByItsText) {
  WordPieceModel model = model_of({"a", "##b", "a"});
  model.added.push_back({"<x>", 8, false, /*is_normalized=*/true});
  const WordPieceTokenizer tokenizer(model, "");
  EXPECT_EQ(tokenizer.token_id("[PAD]"), 0);
  EXPECT_EQ(tokenizer.token_id("[MASK]"), 4);
  EXPECT_EQ(tokenizer.token_id("##b"), 6);
  EXPECT_EQ(tokenizer.token_id("a"), 7);  // of equal ones the last
  EXPECT_EQ(tokenizer.token_id("<x>"), 8);
  EXPECT_EQ(tokenizer.token_id("b"), std::nullopt);
  EXPECT_EQ(tokenizer.token_id(""), std::nullopt);
}

TEST(WordPiece, IsReadFromWhatItWrites) {
  WordPieceModel model = model_of({"a", "@@b", "c"});
  model.reading = {.lowercase = false,
                   .strip_accents = true,
                   .handle_chinese_chars = false,
                   .clean_text = false};
  model.pieces = {.continuing_prefix = "@@", .max_input_chars_per_word = 7};
  model.cleans_up = false;
  model.added.push_back({"<x>", 9, false, /*is_normalized=*/true});
  const WordPieceTokenizer written(model, "[SEP]");
  const auto files = written.files();
  const WordPieceModel again = parse_wordpiece_json(files.at("tokenizer.json"), {}, "file");
  const WordPieceTokenizer read(again, "[SEP]");
  EXPECT_EQ(read.files(), files);
  EXPECT_EQ(read.encode("ab A<x>c\u4E00"), written.encode("ab A<x>c\u4E00"));
  EXPECT_EQ(files.at("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n@@b\nc\n");
}

std::string class_of(const WordPieceModel& model) {
  const auto files = files_of(model);
  return nlohmann::json::parse(files.at("tokenizer_config.json"))["tokenizer_class"];
}

TEST(WordPiece, NamesTheClassThatReadsItsFiles) {
  EXPECT_EQ(class_of(model_of({"a"})), "BertTokenizer");
  WordPieceModel hidden = model_of({"a"});
  hidden.pieces.max_input_chars_per_word = 7;  // BertTokenizer cannot say that
  EXPECT_EQ(class_of(hidden), "PreTrainedTokenizerFast");
  WordPieceModel gaps = model_of({"a", "", "b"});  // and a list of lines not this
  EXPECT_EQ(class_of(gaps), "PreTrainedTokenizerFast");
  EXPECT_FALSE(files_of(gaps).contains("vocab.txt"));
}

std::vector<std::string> learned(const std::string& text, WordPieceTraining::Options options) {
  WordPieceTraining training({});
  training.add(text);
  return training.train(options);
}

TEST(WordPieceTraining, MergesTheMostFrequentPairFirstAndTheLowestIdsOfEqualOnes) {
  EXPECT_THAT(learned("ba ab ab abc abc", {.special_tokens = {"[UNK]"}, .vocab_size = 9}),
              ElementsAre("[UNK]", "a", "b", "c", "##a", "##b", "##c", "ab", "abc"));
  EXPECT_THAT(learned("cd cd ab ab", {.vocab_size = 7}),
              ElementsAre("a", "b", "c", "d", "##b", "##d", "ab"));
}

TEST(WordPieceTraining, StopsWhenNoPairIsFrequent) {
  EXPECT_THAT(learned("ab cd", {.vocab_size = 100}), ElementsAre("a", "b", "c", "d", "##b", "##d"));
}

TEST(WordPieceTraining, KeepsTheMostFrequentCharacters) {
  EXPECT_THAT(learned("aaa bb c d", {.vocab_size = 100, .limit_alphabet = 3, .least_count = 3}),
              ElementsAre("a", "b", "c", "##a", "##b"));
  // The others are left out, and their neighbours stand together.
  EXPECT_THAT(learned("axb axb ab", {.vocab_size = 5, .limit_alphabet = 2, .least_count = 3}),
              ElementsAre("a", "b", "##b", "ab"));
}

TEST(WordPieceTraining, SaysHowManyTokensTheCharactersNeed) {
  const std::string says = test::message_of<ConfigError>(
      [] { learned("abc", {.special_tokens = {"[UNK]"}, .vocab_size = 5}); });
  EXPECT_THAT(says,
              HasSubstr("vocab_size: 5 tokens have no room for the 1 special tokens and the 3 "
                        "characters of the training data, which are 5 pieces; give at least 6"));
}

std::unique_ptr<Tokenizer> make(const test::TokenizerOptions& options,
                                const TokenizerContext& context = {}) {
  return test::make_tokenizer("wordpiece", options, context);
}

std::string refusal(const test::TokenizerOptions& options, const TokenizerContext& context = {}) {
  return test::refusal_of_tokenizer("wordpiece", options, context);
}

TEST(WordPieceKind, LearnsOnceForTheSameTextAndSettings) {
  const TemporaryFolder folder;
  test::TrainingText text;
  const auto learn = [&](const std::string& of, test::TokenizerOptions options) {
    options["vocab_size"] = "10";
    return make(options, text.context(of, folder / "cache"))->files();
  };
  const auto first = learn("Ab Ab", {});
  EXPECT_EQ(text.num_readings, 2);  // to know the text, and to learn
  EXPECT_EQ(learn("Ab Ab", {}), first);
  EXPECT_EQ(text.num_readings, 3);
  EXPECT_NE(learn("cd cd", {}), first);
  EXPECT_EQ(text.num_readings, 5);
  EXPECT_NE(learn("Ab Ab", {{"lowercase", "false"}}), first);
  EXPECT_EQ(text.num_readings, 7);
  EXPECT_EQ(learn("Ab Ab", {{"limit_alphabet", "5"}}), first);
  EXPECT_EQ(text.num_readings, 9);
}

TEST(WordPieceKind, LearnsBehindTheSpecialTokens) {
  test::TrainingText text;
  const auto tokenizer =
      make({{"vocab_size", "20"}, {"end_of_text", "<end>"}}, text.context("ab ab\xFF[MASK]"));
  EXPECT_EQ(tokenizer->token_id("[MASK]"), 4);
  EXPECT_EQ(tokenizer->end_of_text(), 5);
  EXPECT_THAT(tokenizer->encode("ab<end>[MASK]"), ElementsAre(*tokenizer->token_id("ab"), 5, 4));
  EXPECT_THAT(tokenizer->encode(""), IsEmpty());
  const auto other =
      make({{"vocab_size", "20"}, {"unk_token", "[PAD]"}, {"continuing_prefix", "@"}},
           text.context("ab ab"));
  EXPECT_THAT(other->encode("xab b"), ElementsAre(0, *other->token_id("b")));
  EXPECT_TRUE(other->token_id("@b"));
}

TEST(WordPieceKind, GivesWayToTheCheckpoints) {
  test::TrainingText text;
  const auto files = make({{"vocab_size", "10"}}, text.context("ab"))->files();
  TokenizerContext opened = text.context("cd");
  opened.files = files;
  opened.files["config.json"] = "{}";  // a model's own
  text.num_readings = 0;
  EXPECT_EQ(make({{"vocab_size", "10"}}, opened)->files(), files);
  EXPECT_EQ(text.num_readings, 0);
}

TEST(WordPieceKind, ReadsALineAPiece) {
  const TemporaryFolder folder;
  folder.write("vocab.txt", "[UNK]\r\nA\n##b \n[SEP]\nA");
  const auto tokenizer = make({{"from", folder / "vocab.txt"}, {"lowercase", "false"}});
  EXPECT_THAT(tokenizer->encode("Ab[SEP]a"), ElementsAre(4, 2, 3, 0));
  EXPECT_EQ(tokenizer->vocab_size(), 5);
  // What stands beside it says the rest, but for what the experiment says.
  folder.write(
      "tokenizer_config.json",
      R"({"do_lower_case": false, "unk_token": {"content": "[SEP]"}, "strip_accents": null})");
  EXPECT_THAT(make({{"from", folder.path().string()}})->encode("Abx"), ElementsAre(3));
  EXPECT_THAT(make({{"from", folder.path().string()}, {"unk_token", "[UNK]"}})->encode("Abx"),
              ElementsAre(0));
  folder.write("tokenizer_config.json", "[]");
  EXPECT_THAT(refusal({{"from", folder.path().string()}}),
              HasSubstr("tokenizer_config.json beside it: not a JSON object"));
  folder.write("other/vocab.txt", "[UNK]\n\xFF\n");
  EXPECT_THAT(refusal({{"from", folder / "other"}}), HasSubstr("vocab.txt: not UTF-8 text"));
  folder.write("other/vocab.txt", "a\n");
  EXPECT_THAT(refusal({{"from", folder / "other"}, {"end_of_text", ""}}),
              HasSubstr("unk_token: the vocabulary has no '[UNK]'"));
}

TEST(WordPieceKind, IsEitherReadOrLearned) {
  const TemporaryFolder folder;
  EXPECT_THAT(refusal({}), HasSubstr("give one of them"));
  EXPECT_THAT(refusal({{"from", "a"}, {"vocab_size", "300"}}), HasSubstr("are both given"));
  EXPECT_THAT(refusal({{"vocab_size", "300"}}), HasSubstr("is not read here"));
  EXPECT_THAT(refusal({{"from", folder / "none"}}), HasSubstr("no such file or folder"));
  EXPECT_THAT(refusal({{"from", folder.path().string()}}),
              HasSubstr("a folder without tokenizer.json, and without vocab.txt"));
}

/// A tokenizer.json with one thing changed.
std::string changed(const std::string& from, const std::string& to) {
  WordPieceModel model = model_of({"a", "##b"});
  std::string json = to_tokenizer_json(model);
  const size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

TEST(WordPieceKind, RefusesFilesOfAnotherSort) {
  const TemporaryFolder folder;
  const std::string file = folder / "tokenizer.json";
  const struct {
    std::string json, says;
  } kCases[] = {
      {"{}", "it has no model.vocab"},
      {changed("\"type\": \"WordPiece\",\n    \"unk", "\"type\": \"BPE\",\n    \"unk"),
       "model.type: \"BPE\"; wordpiece reads only \"WordPiece\""},
      {changed("\"BertNormalizer\"", "\"NFC\""),
       "normalizer is NFC; wordpiece reads only BertNormalizer, none"},
      {changed("\"BertPreTokenizer\"", "\"Whitespace\""), "pre_tokenizer is Whitespace"},
      {changed("\"TemplateProcessing\"", "\"ByteLevel\""), "post_processor is ByteLevel"},
      {changed("\"type\": \"WordPiece\",\n    \"prefix", "\"type\": \"BPEDecoder\",\n    \"prefix"),
       "decoder is BPEDecoder"},
      {changed("word\": 100", "word\": 0"), "model.max_input_chars_per_word: 0"},
      {changed("\"single_word\": false", "\"single_word\": true"),
       "added token [PAD].single_word: true; wordpiece reads only false"},
      {changed("\"a\": 5", "\"a\": 4"), "have the same id 4"},
      {changed("\"unk_token\": \"[UNK]\"", "\"unk_token\": \"<unk>\""),
       "the vocabulary has no '<unk>'"},
  };
  for (const auto& [json, says] : kCases) {
    folder.write("tokenizer.json", json);
    EXPECT_THAT(refusal({{"from", file}}), HasSubstr(says)) << json.substr(0, 200);
  }
  folder.write("tokenizer.json", changed("\"strip_accents\": null", "\"strip_accents\": false"));
  EXPECT_EQ(make({{"from", file}})->vocab_size(), 7);
  EXPECT_EQ(make({{"from", file}, {"lowercase", "true"}})->vocab_size(), 7);
  EXPECT_THAT(refusal({{"from", file}, {"strip_accents", "true"}}),
              HasSubstr("strip_accents: true here, false in the file; leave the key out"));
  EXPECT_THAT(refusal({{"from", file}, {"unk_token", "[PAD]"}}),
              HasSubstr("unk_token: [PAD] here, [UNK] in the file"));
  EXPECT_THAT(refusal({{"from", file}, {"end_of_text", "</s>"}}),
              HasSubstr("'</s>' is no added token of the tokenizer; it has '[PAD]', '[UNK]'"));
}

}  // namespace
}  // namespace triga
