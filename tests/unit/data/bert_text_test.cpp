// How BERT reads a text. What a library makes of the same texts is compared in tests/parity/wordpiece.py.
#include "data/bert_text.h"

#include <gmock/gmock.h>

#include <vector>

namespace triga {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for_each_bert_word(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

TEST(BertText, IsLowerCaseWithoutAccents) {
  EXPECT_EQ(BertText().normalize("Grüße, CAFÉ E\u0301!"), "gruße, cafe e!");
  EXPECT_EQ((BertText{.strip_accents = false}.normalize("CAFÉ \u0130")), "café i\u0307");
  EXPECT_EQ((BertText{.lowercase = false}.normalize("CAFÉ")), "CAFÉ");
  EXPECT_EQ((BertText{.lowercase = false, .strip_accents = true}.normalize("CAFÉ")), "CAFE");
}

TEST(BertText, HasNoControlCharacters) {
  using std::string_view_literals::operator""sv;
  EXPECT_EQ(BertText().normalize("a\0b\x01\x7F\u0085c\u00AD\u200B\uFFFD\uE000"sv), "abc");
  EXPECT_EQ(BertText().normalize("a\tb\r\nc\u00A0d\u3000\u2028e"), "a b  c d  e");
  EXPECT_EQ((BertText{.clean_text = false}.normalize("a\x01\tb\u00AD")), "a\x01\tb\u00AD");
}

TEST(BertText, SetsIdeographsApart) {
  EXPECT_EQ(BertText().normalize("世界x"), " 世  界 x");
  EXPECT_EQ(BertText().normalize("\uF900"), " \u8C48 ");  // a compatible form of another
  EXPECT_EQ(BertText().normalize("かな"), "かな");
  EXPECT_EQ((BertText{.handle_chinese_chars = false}.normalize("世界")), "世界");
}

TEST(BertText, OrdersTheMarksThatStay) {
  // Of the classes 226 and 216, and no accents: stems and dots of musical notes.
  const BertText reading{.lowercase = false, .strip_accents = true};
  EXPECT_EQ(reading.normalize("a\U0001D16D\U0001D165"), "a\U0001D165\U0001D16D");
  EXPECT_EQ((BertText{.strip_accents = false}.normalize("a\U0001D16D\U0001D165")),
            "a\U0001D16D\U0001D165");
  EXPECT_EQ(reading.normalize("\uAC01"), "\u1100\u1161\u11A8");  // Hangul
}

TEST(BertWords, AreCutAtSpacesAndSigns) {
  EXPECT_THAT(words_of("  it's  [MASK]_x\t"),
              ElementsAre("it", "'", "s", "[", "MASK", "]", "_", "x"));
  EXPECT_THAT(words_of("a$b+c\u2014d\u3002\u20ACe"),
              ElementsAre("a", "$", "b", "+", "c", "\u2014", "d", "\u3002", "\u20ACe"));
  EXPECT_THAT(words_of(""), ElementsAre());
}

}  // namespace
}  // namespace triga
