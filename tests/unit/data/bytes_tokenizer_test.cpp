// That transformers reads the files and gives the same ids is tested in tests/parity.
#include "data/bytes_tokenizer.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <numeric>

#include "triga/error.h"

namespace triga {
namespace {

using ::testing::ElementsAre;

TEST(BytesTokenizer, MapsBytesToTheirValues) {
  const BytesTokenizer tokenizer;
  EXPECT_THAT(tokenizer.encode("a\n\xC3\xA9"), ElementsAre(97, 10, 0xC3, 0xA9));
  EXPECT_TRUE(tokenizer.encode("").empty());
  EXPECT_EQ(tokenizer.encode("<|endoftext|>").size(), 13u);
}

TEST(BytesTokenizer, DecodesWhatItEncoded) {
  const BytesTokenizer tokenizer;
  const std::string text = "Grüße, \xF0\x9F\x98\x80 世界\n";
  EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
}

TEST(BytesTokenizer, DecodesForDisplay) {
  const BytesTokenizer tokenizer;
  EXPECT_EQ(tokenizer.decode({'a', 0xE2, 0x82}), "a\xEF\xBF\xBD");
  EXPECT_EQ(tokenizer.decode({'a', 256, 'b'}), "a<|endoftext|>b");
  EXPECT_THROW(tokenizer.decode({257}), Error);
  EXPECT_THROW(tokenizer.decode({-1}), Error);
}

TEST(BytesTokenizer, TellsTheIdOfATokenByItsText) {
  const BytesTokenizer tokenizer;
  EXPECT_EQ(tokenizer.token_id("<|endoftext|>"), 256);
  EXPECT_EQ(tokenizer.token_id("a"), 'a');
  EXPECT_EQ(tokenizer.token_id("\u010A"), '\n');
  EXPECT_EQ(tokenizer.token_id("ab"), std::nullopt);
  EXPECT_EQ(tokenizer.token_id("[MASK]"), std::nullopt);
}

TEST(BytesTokenizer, WritesAVocabularyOfEveryByteOnce) {
  const auto files = BytesTokenizer().files();
  const auto tokenizer = nlohmann::json::parse(files.at("tokenizer.json"));
  std::vector<int> ids;
  for (const auto& [name, id] : tokenizer["model"]["vocab"].items()) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  std::vector<int> expected(256);
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(ids, expected);
  // As GPT-2's vocabulary writes them: space, line feed, and bytes 0xA0 and 0xAD, which do not
  // print.
  const auto& vocab = tokenizer["model"]["vocab"];
  EXPECT_EQ(vocab["A"], 65);
  EXPECT_EQ(vocab["Ġ"], 32);
  EXPECT_EQ(vocab["Ċ"], 10);
  EXPECT_EQ(vocab["ł"], 0xA0);
  EXPECT_EQ(vocab["Ń"], 0xAD);
  EXPECT_EQ(vocab["ÿ"], 0xFF);
}

}  // namespace
}  // namespace triga
