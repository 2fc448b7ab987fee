// Image files, IDX files and folders of images. What Pillow makes of the same files is compared in
// tests/parity/images.py.
#include "triga/image.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "data/core_kinds.h"
#include "data/idx_file.h"
#include "data/image_folder.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::HasSubstr;
using ::triga::test::message_of;
using ::triga::test::TemporaryFolder;

at::Tensor noise_image(int64_t channels, int64_t height, int64_t width) {
  at::Tensor image = at::empty({channels, height, width}, at::kByte);
  for (int64_t i = 0; i < image.numel(); ++i) image.view(-1)[i] = (i * 7919) % 256;
  return image;
}

TEST(Image, IsReadAsItWasWritten) {
  const TemporaryFolder folder;
  for (const int64_t channels : {1, 3}) {
    const at::Tensor image = noise_image(channels, 5, 7);
    EXPECT_TRUE(at::equal(read_image(folder.write("a.png", encode_png(image))), image)) << channels;
  }
}

TEST(Image, GridHasImagesInRows) {
  std::vector<at::Tensor> images;
  for (int i = 1; i <= 3; ++i) images.push_back(at::full({1, 2, 3}, i, at::kByte));
  const at::Tensor grid = image_grid(images, 2);
  ASSERT_EQ(grid.sizes(), (std::vector<int64_t>{1, 6, 8}));
  EXPECT_EQ(grid[0][1][2].item<int>(), 1);
  EXPECT_EQ(grid[0][1][3].item<int>(), 0);
  EXPECT_EQ(grid[0][0][5].item<int>(), 2);
  EXPECT_EQ(grid[0][5][0].item<int>(), 3);
  EXPECT_EQ(grid[0][5][7].item<int>(), 0);
  EXPECT_EQ(image_grid(images, 9).sizes(), (std::vector<int64_t>{1, 2, 13}));
}

TEST(Image, FloatsBecomeBytes) {
  const at::Tensor bytes = bytes_of_image(at::tensor({-2.0f, -1.0f, 0.0f, 1.0f, 3.0f}));
  EXPECT_TRUE(at::equal(bytes, at::tensor({0, 0, 128, 255, 255}, at::kByte)));
}

TEST(Image, RefusesWhatIsNone) {
  const TemporaryFolder folder;
  const auto refusal = [](const std::string& path) {
    return message_of<DataError>([&] { read_image(path); });
  };
  EXPECT_THAT(refusal(folder / "none.png"), HasSubstr("none.png"));
  EXPECT_THAT(refusal(folder.write("a.png", "text")), HasSubstr("neither PNG nor JPEG"));
  EXPECT_THAT(refusal(folder.write("b.png", "\x89PNG\r\n")),
              HasSubstr("a PNG that cannot be read"));
  EXPECT_THAT(refusal(folder.write("c.jpg", "\xFF\xD8\xFF\xE0 no")), HasSubstr("c.jpg: "));
  const std::string bytes = encode_png(noise_image(1, 40, 40));
  EXPECT_THAT(refusal(folder.write("e.png", bytes.substr(0, 100))),
              HasSubstr("a PNG that cannot be read"));
}

std::string idx(const std::vector<uint32_t>& shape, const std::string& content) {
  std::string bytes = {0, 0, 8, static_cast<char>(shape.size())};
  for (const uint32_t size : shape)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(size >> shift);
  return bytes + content;
}

TEST(IdxFile, IsATensorOfBytes) {
  const TemporaryFolder folder;
  const at::Tensor data = read_idx(folder.write("a", idx({2, 1, 3}, "abcdef")), 3);
  EXPECT_EQ(data.sizes(), (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ(data[1][0][0].item<int>(), 'd');
}

TEST(IdxFile, RefusesWhatIsNone) {
  const TemporaryFolder folder;
  const auto refusal = [&](const std::string& content, int num_dims = 3) {
    return message_of<DataError>([&] { read_idx(folder.write("a", content), num_dims); });
  };
  EXPECT_THAT(refusal(idx({2, 1, 3}, "abcde")), HasSubstr("ends too early"));
  EXPECT_THAT(refusal(""), HasSubstr("ends too early"));
  EXPECT_THAT(refusal("text, of some length"), HasSubstr("not an IDX file"));
  EXPECT_THAT(refusal(idx({2}, "ab")), HasSubstr("images have 3, labels 1"));
  EXPECT_THAT(refusal(idx({1u << 31, 1u << 31, 1u << 31}, "")), HasSubstr("more than 64 GB"));
  EXPECT_THAT(message_of<DataError>([&] { read_idx(folder / "none", 3); }),
              AllOf(HasSubstr("none: no such file"), HasSubstr("triga data get")));
}

std::unique_ptr<Dataset> make(const std::string& kind_name,
                              const std::map<std::string, std::string>& options) {
  Registry registry;
  register_core_datasets(registry);
  ConfigNode config = ConfigNode::make_mapping();
  for (const auto& [key, value] : options) {
    if (key == "to") {
      ConfigNode take = ConfigNode::make_mapping();
      take.add("to", ConfigNode::make_scalar(value));
      config.add("take", take);
    } else {
      config.add(key, ConfigNode::make_scalar(value));
    }
  }
  for (const auto& kind : registry.datasets.kinds())
    if (kind.name == kind_name) return kind.create(config, {});
  return nullptr;
}

TEST(IdxImages, AreImagesWithLabels) {
  const TemporaryFolder folder;
  const std::string images = folder.write("images", idx({3, 2, 2}, "aaaabbbbcccc"));
  const std::string labels = folder.write("labels", idx({3}, {7, 8, 9}));
  const auto dataset = make("idx_images", {{"images", images}, {"labels", labels}, {"to", "0.7"}});
  ASSERT_EQ(dataset->size(), 2);
  const Sample sample = dataset->get(1);
  EXPECT_EQ(sample["label"].item<int64_t>(), 8);
  EXPECT_TRUE(at::equal(sample["image"], at::full({1, 2, 2}, 'b', at::kByte)));
  const auto whole = make("idx_images", {{"images", images}, {"labels", labels}});
  EXPECT_NE(whole->fingerprint(), dataset->fingerprint());
  EXPECT_FALSE(make("idx_images", {{"images", images}})->get(0).contains("label"));
}

TEST(IdxRows, AreTheRowsOfTheImagesFromTheTop) {
  const TemporaryFolder folder;
  const std::string images = folder.write(
      "images", idx({2, 2, 3}, {0, 1, 2, 3, 4, 5, 51, 102, 127, char(153), char(204), char(255)}));
  const std::string labels = folder.write("labels", idx({2}, {7, 8}));
  const auto rows = make("idx_rows", {{"images", images}, {"labels", labels}});
  ASSERT_EQ(rows->size(), 2);
  EXPECT_EQ(rows->length(0), 2);
  const Sample sample = rows->get(1);
  EXPECT_EQ(sample["label"].item<int64_t>(), 8);
  EXPECT_TRUE(at::allclose(sample["features"],
                           at::tensor({0.2f, 0.4f, 127 / 255.f, 0.6f, 0.8f, 1.f}).view({2, 3})));
  const auto as_images = make("idx_images", {{"images", images}, {"labels", labels}});
  EXPECT_NE(rows->fingerprint(), as_images->fingerprint());
  EXPECT_FALSE(make("idx_rows", {{"images", images}})->get(0).contains("label"));
}

TEST(IdxImages, AreScaledLikeThoseOfFolders) {
  const TemporaryFolder folder;
  const at::Tensor image = noise_image(1, 6, 9);
  std::string bytes(static_cast<const char*>(image.const_data_ptr()), image.nbytes());
  const auto scaled = make(
      "idx_images", {{"images", folder.write("images", idx({1, 6, 9}, bytes))}, {"size", "3"}});
  folder.write("folder/a.png", encode_png(image));
  const ImageFolder images({folder / "folder", 3, 1});
  EXPECT_TRUE(at::equal(scaled->get(0)["image"], images.get(0)["image"]));
}

TEST(IdxImages, SaysWhatDoesNotFit) {
  const TemporaryFolder folder;
  const std::string images = folder.write("images", idx({3, 1, 1}, "abc"));
  const std::string labels = folder.write("labels", idx({2}, "ab"));
  EXPECT_THAT(message_of<DataError>([&] {
                make("idx_images", {{"images", images}, {"labels", labels}});
              }),
              HasSubstr("2 labels for 3 images"));
  EXPECT_THAT(message_of<DataError>([&] {
                make("idx_images", {{"images", images}, {"to", "0.1"}});
              }),
              HasSubstr("leaves none of 3 images"));
}

TEST(ImageFolder, TakesClassesFromFolders) {
  const TemporaryFolder folder;
  for (const char* name : {"b/2.PNG", "b/1.png", "a/x.png", "b/readme.txt"}) folder.write(name, "");
  folder.write("a/x.png", encode_png(noise_image(3, 4, 6)));
  folder.write("b/1.png", encode_png(noise_image(1, 4, 4)));
  const ImageFolder images({folder.path().string(), 4, 3});
  ASSERT_EQ(images.size(), 3);
  const Sample first = images.get(0);
  EXPECT_EQ(first["label"].item<int64_t>(), 0);
  EXPECT_TRUE(at::equal(first["image"], noise_image(3, 4, 6).narrow(2, 1, 4)));  // the middle
  const Sample second = images.get(1);
  EXPECT_EQ(second["label"].item<int64_t>(), 1);
  EXPECT_TRUE(at::equal(second["image"], noise_image(1, 4, 4).expand({3, -1, -1})));
  EXPECT_THAT(message_of<DataError>([&] { images.get(2); }), HasSubstr("2.PNG: neither"));
  EXPECT_EQ(ImageFolder({folder.path().string(), 2, 1}).get(0)["image"].sizes(),
            (std::vector<int64_t>{1, 2, 2}));
}

TEST(ImageFolder, CutsTheLongerSideOnBothEnds) {
  const TemporaryFolder folder;
  const at::Tensor tall = noise_image(3, 9, 4), wide = noise_image(3, 4, 9);
  folder.write("a/tall.png", encode_png(tall));
  folder.write("a/wide.png", encode_png(wide));
  const ImageFolder images({folder.path().string(), 4, 3});
  // Of 5 rows or columns too many, 2 go at the beginning and 3 at the end.
  EXPECT_TRUE(at::equal(images.get(0)["image"], tall.narrow(1, 2, 4)));
  EXPECT_TRUE(at::equal(images.get(1)["image"], wide.narrow(2, 2, 4)));
}

TEST(ImageFolder, SaysWhatIsWrongWithAFolder) {
  const TemporaryFolder folder;
  const auto refusal = [&] {
    return message_of<DataError>([&] { ImageFolder({folder.path().string(), 4, 3}); });
  };
  EXPECT_THAT(refusal(), HasSubstr("no image (.png, .jpg, .jpeg) in it"));
  folder.write("a/x.png", "");
  folder.write("y.jpg", "");
  EXPECT_THAT(refusal(), HasSubstr("y.jpg is in no folder and a/x.png is in one"));
  EXPECT_THAT(message_of<DataError>([&] {
                ImageFolder({folder / "none", 4, 3});
              }),
              HasSubstr("none: no such file"));
}

TEST(ImageFolder, RefusesTwoChannels) {
  EXPECT_THAT(message_of<ConfigError>([] {
                make("image_folder", {{"folder", "a"}, {"channels", "2"}});
              }),
              HasSubstr("an image has 1 or 3 channels"));
}

}  // namespace
}  // namespace triga
