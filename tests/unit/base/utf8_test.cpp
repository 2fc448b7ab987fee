#include "base/utf8.h"

#include <gtest/gtest.h>

namespace triga {
namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";

TEST(FindInvalidUtf8, AcceptsTextOfEveryLength) {
  EXPECT_FALSE(find_invalid_utf8(""));
  EXPECT_FALSE(find_invalid_utf8("plain ASCII, longer than one machine word"));
  EXPECT_FALSE(find_invalid_utf8(
      "\x7F \xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF "
      "\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
}

TEST(FindInvalidUtf8, FindsTheFirstByteThatDoesNotBelong) {
  EXPECT_EQ(find_invalid_utf8("caf\xE9 au lait"), 3u);   // Latin-1
  EXPECT_EQ(find_invalid_utf8("0123456789\x80"), 10u);   // a continuation that continues nothing
  EXPECT_EQ(find_invalid_utf8("\xC3\xA9\xC0\x80"), 2u);  // overlong
  EXPECT_EQ(find_invalid_utf8("\xE0\x9F\xBF"), 0u);      // overlong
  EXPECT_EQ(find_invalid_utf8("\xED\xA0\x80"), 0u);      // a surrogate
  EXPECT_EQ(find_invalid_utf8("\xF4\x90\x80\x80"), 0u);  // above U+10FFFF
  EXPECT_EQ(find_invalid_utf8("\xF5\x80\x80\x80"), 0u);
  EXPECT_EQ(find_invalid_utf8("a\xE2\x82"), 1u);  // cut at the end
}

TEST(ReplaceInvalidUtf8, DoesWhatPythonDoes) {  // bytes.decode("utf-8", errors="replace")
  const std::string r = kReplacement;
  EXPECT_EQ(replace_invalid_utf8("a\xE2\x82\xAC"), "a\xE2\x82\xAC");
  EXPECT_EQ(replace_invalid_utf8("a\xE2\x82"
                                 "b"),
            "a" + r + "b");  // one for a cut sequence
  EXPECT_EQ(replace_invalid_utf8("\xF0\x9F\x98"), r);
  EXPECT_EQ(replace_invalid_utf8("\xC0\x80"), r + r);
  EXPECT_EQ(replace_invalid_utf8("\xED\xA0\x80"), r + r + r);
  EXPECT_EQ(replace_invalid_utf8("\xF4\x90\x80\x80x"), r + r + r + r + "x");
}

}  // namespace
}  // namespace triga
