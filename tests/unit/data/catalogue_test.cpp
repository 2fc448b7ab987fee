#include "data/catalogue.h"

#include <gmock/gmock.h>

#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::message_of;
using test::TemporaryFolder;
using ::testing::HasSubstr;

constexpr const char* kSha256OfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

ConfigNode mapping(const std::vector<std::pair<std::string, std::string>>& entries) {
  auto node = ConfigNode::make_mapping();
  for (const auto& [key, value] : entries)
    node.add(key, ConfigNode::make_scalar(value, /*quoted=*/key != "size"));
  return node;
}

/// A catalogue of one data set, `letters`, of these files.
Catalogue letters(const std::string& base_url, const std::vector<ConfigNode>& files) {
  auto list = ConfigNode::make_sequence();
  list.items = files;
  auto data_set = mapping({{"description", "Letters."},
                           {"licence", "none stated"},
                           {"home", "x"},
                           {"base_url", base_url}});
  data_set.add("files", list);
  auto data_sets = ConfigNode::make_mapping();
  data_sets.add("letters", data_set);
  auto root = ConfigNode::make_mapping();
  root.add("data_sets", data_sets);
  return read_config<Catalogue>(root);
}

constexpr const char* kUrl = "https://nowhere.invalid/x/";

TEST(Catalogue, FetchesAllFilesOfADataSetToTheirPlaces) {
  const TemporaryFolder folder;
  const auto catalogue = letters(
      kUrl,
      {mapping({{"path", "1.txt"}, {"size", "3"}, {"sha256", kSha256OfAbc}}),
       mapping({{"path", "y/2.txt"}, {"as", "z/two"}, {"size", "3"}, {"sha256", kSha256OfAbc}})});
  const DataSet& data_set = catalogue.find("letters");
  folder.write("mirror/nowhere.invalid/x/1.txt", "abc");
  EXPECT_FALSE(is_complete(data_set, folder / "letters"));
  EXPECT_THROW(fetch_data_set(data_set, folder / "letters", {.mirror = folder / "mirror"},
                              [](const FetchProgress&) {}),
               DataError);
  EXPECT_FALSE(is_complete(data_set, folder / "letters"));  // one of two

  folder.write("mirror/nowhere.invalid/x/y/2.txt", "abc");
  std::vector<std::pair<std::string, int64_t>> told;
  fetch_data_set(data_set, folder / "letters", {.mirror = folder / "mirror"},
                 [&](const FetchProgress& progress) {
                   EXPECT_EQ(progress.num_bytes, 6);
                   told.emplace_back(progress.file, progress.bytes_done);
                 });
  EXPECT_EQ(read_text(posix_files(), folder / "letters/z/two"), "abc");
  EXPECT_TRUE(is_complete(data_set, folder / "letters"));
  EXPECT_EQ(told.front(), (std::pair<std::string, int64_t>("1.txt", 3)));
  EXPECT_EQ(told.back(), (std::pair<std::string, int64_t>("z/two", 6)));
}

TEST(Catalogue, NamesTheDataSetsWhenThereIsNoSuch) {
  EXPECT_EQ(message_of<DataError>([] { letters(kUrl, {}).find("numbers"); }),
            "no data set 'numbers' in the catalogue; there are: letters");
}

TEST(Catalogue, RefusesWhatItCouldNotFetchOrCheck) {
  const auto failure = [](const std::string& url,
                          const std::vector<std::pair<std::string, std::string>>& file) {
    return message_of<ConfigError>([&] { letters(url, {mapping(file)}); });
  };
  EXPECT_THAT(failure(kUrl, {{"path", "a"}, {"size", "3"}, {"sha256", "abc"}}),
              HasSubstr("64 hexadecimal digits"));
  EXPECT_THAT(
      failure(kUrl, {{"path", "a"}, {"as", "../a"}, {"size", "3"}, {"sha256", kSha256OfAbc}}),
      HasSubstr("'../a' is not a path inside"));
  EXPECT_THAT(
      failure(kUrl, {{"path", "a"}, {"as", "/etc/a"}, {"size", "3"}, {"sha256", kSha256OfAbc}}),
      HasSubstr("is not a path inside"));
  EXPECT_THAT(failure("ftp://x/", {{"path", "a"}, {"size", "3"}, {"sha256", kSha256OfAbc}}),
              HasSubstr("begins with https://"));
  EXPECT_THAT(failure("https://x", {{"path", "a"}, {"size", "3"}, {"sha256", kSha256OfAbc}}),
              HasSubstr("ends with /"));
}

}  // namespace
}  // namespace triga
