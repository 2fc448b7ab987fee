// How byte-level tokenizers name bytes and cut a text into pieces. What libraries make of the same
// texts is compared in tests/parity/byte_bpe.py.
#include "data/byte_level.h"

#include <gmock/gmock.h>

#include <set>
#include <vector>

namespace triga {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> pieces_of(std::string_view text) {
  std::vector<std::string> pieces;
  for_each_piece(text, [&](std::string_view piece) { pieces.emplace_back(piece); });
  return pieces;
}

TEST(ByteNames, AreDifferentAndGiveTheBytesBack) {
  std::set<std::string> names;
  std::string all;
  for (int byte = 0; byte < 256; ++byte) {
    all += static_cast<char>(byte);
    names.insert(byte_names()[static_cast<size_t>(byte)]);
  }
  EXPECT_EQ(names.size(), 256u);
  EXPECT_EQ(bytes_of_name(name_of_bytes(all)), all);
  EXPECT_EQ(name_of_bytes(" a\n"), "\u0120a\u010A");  // known from every GPT-2 vocabulary
}

TEST(ByteNames, OfOtherCharactersAreNone) {
  EXPECT_EQ(bytes_of_name("a b"), std::nullopt);
  EXPECT_EQ(bytes_of_name("\u65E5"), std::nullopt);
  EXPECT_EQ(bytes_of_name("\xC4"), std::nullopt);
}

TEST(Pieces, AreWordsWithTheSpaceBeforeThem) {
  EXPECT_THAT(pieces_of("to be, or not"), ElementsAre("to", " be", ",", " or", " not"));
  EXPECT_THAT(pieces_of("x2 3.14"), ElementsAre("x", "2", " 3", ".", "14"));
  EXPECT_THAT(pieces_of("\u00e9t\u00e9 \u4E16\u754C!"),
              ElementsAre("\u00e9t\u00e9", " \u4E16\u754C", "!"));
}

TEST(Pieces, LeaveTheLastOfSeveralSpacesToTheWord) {
  EXPECT_THAT(pieces_of("a   b"), ElementsAre("a", "  ", " b"));
  EXPECT_THAT(pieces_of("a\n\nb"), ElementsAre("a", "\n", "\n", "b"));
  EXPECT_THAT(pieces_of("a \t"), ElementsAre("a", " \t"));
  EXPECT_THAT(pieces_of("a\u3000\u3000b"), ElementsAre("a", "\u3000", "\u3000", "b"));
}

TEST(Pieces, CutEnglishEndings) {
  EXPECT_THAT(pieces_of("it's 's'' I'LL"),
              ElementsAre("it", "'s", " '", "s", "''", " I", "'", "LL"));
}

TEST(Pieces, AreTheTextAgain) {
  const std::string text = " a\u0301 \u00A0\n'd'''d 1\u00BD\t \U0001F600\U0001F600x ";
  std::string joined;
  for (const std::string& piece : pieces_of(text)) joined += piece;
  EXPECT_EQ(joined, text);
}

}  // namespace
}  // namespace triga
