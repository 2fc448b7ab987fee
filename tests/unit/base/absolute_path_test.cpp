#include "base/absolute_path.h"

#include <gtest/gtest.h>

#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

TEST(AbsolutePath, IsOfTextAlone) {
  for (const char* path : {"/a/./b//c/", "/a/b/../c", "/a/b/..", "/a/.", "/..", "/", "/a/../../b"})
    EXPECT_EQ(absolute_path(path).string(), fs::path(path).lexically_normal().string()) << path;
  EXPECT_EQ(absolute_path("/nowhere/x/../*.txt"), "/nowhere/*.txt");
  EXPECT_EQ(absolute_path("a/"), fs::current_path() / "a/");
}

TEST(AbsolutePath, CanBeNamedAfterItsLastFolder) {
  for (const char* path : {"runs/a", "runs/a/", "runs/a//"})
    EXPECT_EQ(without_slash_at_end(path).string(), "runs/a");
  EXPECT_EQ(without_slash_at_end("/").string(), "/");
  EXPECT_EQ(without_slash_at_end("").string(), "");
}

TEST(AbsolutePath, LeadsOutOfWhereALinkPointsTo) {
  const test::TemporaryFolder folder;
  const fs::path root = fs::canonical(folder.path());
  fs::create_directories(root / "real" / "sub");
  fs::create_directory(root / "here");
  fs::create_directory_symlink("../real/sub", root / "here" / "link");
  fs::create_directory_symlink("missing", root / "here" / "dangling");
  EXPECT_EQ(absolute_path(root / "here/link/../a.yaml"), root / "real" / "a.yaml");
  EXPECT_EQ(absolute_path(root / "here/link/./../a.yaml"), root / "real" / "a.yaml");
  fs::create_directory_symlink("here", root / "there");
  EXPECT_EQ(absolute_path(root / "there/../a"), root / "a");
  EXPECT_EQ(absolute_path(root / "there/./link/./../b/./../c"), root / "real" / "c");
  fs::create_directory_symlink("link", root / "here" / "beside");
  fs::create_directory(root / "here" / "v2");
  fs::create_directory_symlink("v2", root / "here" / "v");
  EXPECT_EQ(absolute_path(root / "there/v/../c"), root / "there" / "c") << "as it was written";
  EXPECT_EQ(absolute_path(root / "here/link/a.yaml"), root / "here/link/a.yaml");
  EXPECT_EQ(absolute_path(root / "here/dangling/../a"), root / "here/a");
}

}  // namespace
}  // namespace triga
