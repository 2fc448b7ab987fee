#include "data/file_list.h"

#include <gmock/gmock.h>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::message_of;
using ::triga::test::TemporaryFolder;

/// b.txt a.txt .hidden.txt notes.md sub/c.txt sub/deep/d.txt sub/.git/e.txt
class ExpandFiles : public ::testing::Test {
 protected:
  ExpandFiles() {
    for (const char* name : {"b.txt", "a.txt", ".hidden.txt", "notes.md", "sub/c.txt",
                             "sub/deep/d.txt", "sub/.git/e.txt"})
      folder_.write(name, "x");
  }
  /// The names below the folder that the patterns below it give.
  std::vector<std::string> expand(const std::vector<std::string>& names) const {
    std::vector<std::string> patterns, found;
    for (const auto& name : names) patterns.push_back(folder_ / name);
    for (const auto& file : expand_files(patterns))
      found.push_back(file.substr(folder_.path().string().size() + 1));
    return found;
  }
  TemporaryFolder folder_;
};

TEST_F(ExpandFiles, SortsWhatAPatternMatches) {
  EXPECT_THAT(expand({"*.txt"}), ElementsAre("a.txt", "b.txt"));
}

TEST_F(ExpandFiles, KeepsTheOrderOfPatternsAndEachFileOnce) {
  EXPECT_THAT(expand({"b.txt", "*.txt", "./b.txt", "notes.md"}),
              ElementsAre("b.txt", "a.txt", "notes.md"));
}

TEST_F(ExpandFiles, MatchesAnyNumberOfFoldersWithTwoStars) {
  EXPECT_THAT(expand({"**/*.txt"}), ElementsAre("a.txt", "b.txt", "sub/c.txt", "sub/deep/d.txt"));
  EXPECT_THAT(expand({"sub/**/d.txt"}), ElementsAre("sub/deep/d.txt"));
  EXPECT_THAT(expand({"**/deep/**/*"}), ElementsAre("sub/deep/d.txt"));
  EXPECT_THAT(expand({"sub/**"}), ElementsAre("sub/c.txt", "sub/deep/d.txt"));
}

TEST_F(ExpandFiles, TakesAllFilesBelowAFolder) {
  EXPECT_THAT(expand({"sub"}), ElementsAre("sub/c.txt", "sub/deep/d.txt"));
}

TEST_F(ExpandFiles, KnowsQuestionMarksAndClasses) {
  EXPECT_THAT(expand({"?.txt"}), ElementsAre("a.txt", "b.txt"));
  EXPECT_THAT(expand({"[b-z].txt"}), ElementsAre("b.txt"));
  EXPECT_THAT(expand({"s?b/*.txt"}), ElementsAre("sub/c.txt"));
}

TEST_F(ExpandFiles, MatchesHiddenFilesOnlyByName) {
  EXPECT_THAT(expand({".*.txt"}), ElementsAre(".hidden.txt"));
}

TEST_F(ExpandFiles, PrefersAFileWhoseNameLooksLikeAPattern) {
  folder_.write("[b].txt", "x");
  EXPECT_THAT(expand({"[b].txt"}), ElementsAre("[b].txt"));
}

TEST_F(ExpandFiles, FollowsNoLinkInACircle) {
  std::filesystem::create_directory_symlink(folder_.path(), folder_ / "sub/up");
  EXPECT_THAT(expand({"sub/**/*.txt"}), ElementsAre("sub/c.txt", "sub/deep/d.txt"));
}

TEST_F(ExpandFiles, FollowsALinkThatThePatternNames) {
  std::filesystem::create_directory_symlink(folder_ / "sub", folder_ / "link");
  EXPECT_THAT(expand({"sub/../link/**/*.txt"}),
              ElementsAre("sub/../link/c.txt", "sub/../link/deep/d.txt"));
}

TEST_F(ExpandFiles, SaysWhichPatternMatchesNothingAndHowMuchOfItExists) {
  EXPECT_THAT(
      message_of<DataError>([&] {
        expand({"a.txt", "sub/nowhere/**/*.txt"});
      }),
      ::testing::AllOf(HasSubstr(folder_ / "sub/nowhere/**/*.txt: no file matches this pattern"),
                       HasSubstr("exists is '" + (folder_ / "sub'"))));
  EXPECT_THAT(message_of<DataError>([&] { expand({"missing.txt"}); }), HasSubstr("no such file"));
}

}  // namespace
}  // namespace triga
