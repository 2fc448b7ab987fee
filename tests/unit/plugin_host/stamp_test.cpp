#include "plugin_host/stamp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace triga {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const Stamp kHost = Stamp::parse("abi=3\nlibtorch=2.11.0\ncxx11_abi=1\ncxx_standard=202002L\n");

std::vector<std::string> against_host(const std::string& text) {
  return mismatches(Stamp::parse(text), kHost);
}

TEST(Stamp, OfTheHostSaysAllThatMatters) {
  const auto host = Stamp::of_host();
  for (const auto* key : {"abi", "libtorch", "cxx11_abi", "cxx_standard"})
    EXPECT_NE(host[key], "") << key;
  EXPECT_THAT(mismatches(host, host), IsEmpty());
}

TEST(Stamp, EveryMismatchHasAMessageWithItsCure) {
  EXPECT_THAT(against_host("abi=3\nlibtorch=2.11.0\ncxx11_abi=1\ncxx_standard=202002L\n"),
              IsEmpty());
  EXPECT_THAT(against_host("abi=2\nlibtorch=2.11.0\ncxx11_abi=1\ncxx_standard=202002L\n"),
              ElementsAre(AllOf(HasSubstr("interface 2"), HasSubstr("build the plugin again"))));
  EXPECT_THAT(against_host("abi=4\nlibtorch=2.11.0\ncxx11_abi=1\ncxx_standard=202002L\n"),
              ElementsAre(AllOf(HasSubstr("interface 4"), HasSubstr("newer Triga"))));
  EXPECT_THAT(
      against_host("abi=3\nlibtorch=2.10.1\ncxx11_abi=1\ncxx_standard=202002L\n"),
      ElementsAre(AllOf(HasSubstr("LibTorch 2.10.1"), HasSubstr("again with LibTorch 2.11.0"))));
  EXPECT_THAT(against_host("abi=3\nlibtorch=2.11.0\ncxx11_abi=0\ncxx_standard=202002L\n"),
              ElementsAre(HasSubstr("-D_GLIBCXX_USE_CXX11_ABI=1")));
  EXPECT_THAT(against_host("abi=3\nlibtorch=2.11.0\ncxx11_abi=1\ncxx_standard=201703L\n"),
              ElementsAre(AllOf(HasSubstr("as C++17"), HasSubstr("again as C++20"))));
}

TEST(Stamp, NamesAllMismatchesAtOnceAndWhatIsMissing) {
  EXPECT_THAT(against_host("abi=2\ncxx11_abi=0\ncxx_standard=202002L"),
              ElementsAre(HasSubstr("interface 2"), HasSubstr("does not say libtorch"),
                          HasSubstr("std::string")));
  EXPECT_THAT(against_host("nonsense without any sign"),
              ElementsAre(HasSubstr("abi"), HasSubstr("libtorch"), HasSubstr("cxx11_abi"),
                          HasSubstr("cxx_standard")));
}

}  // namespace
}  // namespace triga
