#include "base/fixed_text.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace triga {
namespace {

TEST(BeginningOf, CutsBetweenTwoCharacters) {
  const std::string text = "aé€😀";                                         // of 1, 2, 3 and 4 bytes
  const std::array<size_t, 11> kept = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10};  // [most bytes]
  for (size_t most = 0; most < kept.size(); ++most)
    EXPECT_EQ(beginning_of(text, most), text.substr(0, kept[most])) << most;
  EXPECT_EQ(beginning_of(text, 100), text);
}

TEST(BeginningOf, CutsAnywhereInWhatIsNotUtf8) {
  const std::string following(10, '\x80'), latin(10, '\xe9');
  EXPECT_EQ(beginning_of(following, 7).size(), 7U);
  EXPECT_EQ(beginning_of(latin, 7).size(), 7U);
}

TEST(FixedText, EndsWhereSomethingDoesNotFit) {
  std::array<char, 8> buffer;
  FixedText text(buffer);
  text.add("step ");
  text.add(int64_t{17});
  EXPECT_EQ(text.view(), "step 17");
  text.add("é");
  text.add("!");
  EXPECT_EQ(text.view(), "step 17") << "what comes after a gap belongs to nothing";
}

}  // namespace
}  // namespace triga
