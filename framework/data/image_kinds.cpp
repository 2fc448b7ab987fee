#include "data/image_kinds.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>

#include "data/fingerprint.h"
#include "data/idx_file.h"
#include "data/image_folder.h"
#include "data/image_scaling.h"
#include "data/take.h"

namespace triga {
namespace {

struct IdxConfig {
  ConfigPath images;
  std::optional<ConfigPath> labels;
  std::optional<int64_t> size;
  TakeConfig take;
};

void describe(Fields& fields, IdxConfig& config) {
  fields.field("images", config.images)
      .help("IDX file of images, bytes in three dimensions; may be packed by gzip.")
      .required()
      .known_as({"image_file", "path", "file"});
  fields.field("labels", config.labels)
      .help("IDX file of their labels, bytes in one dimension.")
      .empty_word("none")
      .known_as({"label_file", "targets"});
  fields.field("size", config.size)
      .help("Images become squares: the shorter side is scaled to this, the longer one cut.")
      .unit("pixels")
      .empty_word("none")
      .at_least(1)
      .at_most(16384)
      .known_as({"image_size", "resolution", "resize"});
  fields.field("take", config.take)
      .help("The part of the images, in their order, that this split gets, such as {to: 0.9}.");
}

/// Images [N, H, W] as squares.
at::Tensor as_squares(const at::Tensor& images, int64_t size) {
  std::vector<at::Tensor> squares;
  for (const at::Tensor& image : images.unbind())
    squares.push_back(scaled_to_square(image.unsqueeze(0), size));
  return at::cat(squares);
}

/// Samples {"image": uint8 [1, H, W], "label": int64 []}.
class IdxImages final : public Dataset {
 public:
  explicit IdxImages(const IdxConfig& config) : images_(read_idx(config.images.path, 3)) {
    const int64_t count = images_.size(0);
    if (config.labels) {
      labels_ = read_idx(config.labels->path, 1).to(at::kLong);
      if (labels_.size(0) != count)
        throw DataError(
            c10::str(config.labels->path, ": ", labels_.size(0), " labels for ", count, " images"));
    }
    const auto place = [&](double fraction) {
      return static_cast<int64_t>(fraction * static_cast<double>(count));
    };
    first_ = place(config.take.from);
    size_ = place(config.take.to) - first_;
    if (size_ == 0)
      throw DataError(c10::str(config.images.path, ": `take` leaves none of ", count, " images"));
    if (config.size) images_ = as_squares(images_, *config.size);
  }

  int64_t size() const override { return size_; }
  int64_t num_rows() const { return images_.size(1); }
  bool has_labels() const { return labels_.defined(); }

  Sample get(int64_t index) const override {
    Sample sample = {{"image", images_[first_ + index].unsqueeze(0)}};
    if (labels_.defined()) sample.set("label", labels_[first_ + index]);
    return sample;
  }

  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("idx");
    const auto add = [&](const at::Tensor& all) {
      const at::Tensor part = all.narrow(0, first_, size_);
      fingerprint.add({static_cast<const char*>(part.const_data_ptr()), part.nbytes()});
    };
    add(images_);
    if (labels_.defined()) add(labels_);
    return fingerprint.text();
  }

 private:
  at::Tensor images_, labels_;  // [N, H, W]; int64 [N], undefined: none
  int64_t first_ = 0, size_ = 0;
};

/// Samples {"features": fp32 [H, W], 0 to 1, "label": int64 []}: a row of pixels is a time step.
class IdxRows final : public Dataset {
 public:
  explicit IdxRows(const IdxConfig& config) : images_(config) {}

  int64_t size() const override { return images_.size(); }
  Sample get(int64_t index) const override {
    Sample sample = images_.get(index);
    const at::Tensor rows = sample["image"][0].to(at::kFloat) / 255;
    Sample sequence = {{"features", rows}};
    if (images_.has_labels()) sequence.set("label", sample["label"]);
    return sequence;
  }
  int64_t length(int64_t /*index*/) const override { return images_.num_rows(); }
  std::string fingerprint() const override { return "rows " + images_.fingerprint(); }

 private:
  IdxImages images_;
};

struct ImageFolderConfig {
  ConfigPath folder;
  int64_t size = 224;
  int64_t channels = 3;
};

void describe(Fields& fields, ImageFolderConfig& config) {
  fields.field("folder", config.folder)
      .help(
          "Folder with a folder of images (PNG, JPEG) for each class; or with images of no class.")
      .required()
      .known_as({"root", "path", "image_dir", "data_dir"});
  fields.field("size", config.size)
      .help("Images become squares: the shorter side is scaled to this, the longer one cut.")
      .unit("pixels")
      .at_least(1)
      .at_most(16384)
      .known_as({"image_size", "resolution", "crop_size"});
  fields.field("channels", config.channels)
      .help("3: red, green, blue; 1: grey.")
      .at_least(1)
      .at_most(3)
      .known_as({"num_channels", "in_channels"});
  fields.rule("channels", [&config]() -> std::optional<std::string> {
    if (config.channels != 2) return std::nullopt;
    return "is 2; an image has 1 or 3 channels";
  });
}

}  // namespace

void register_image_datasets(Registry& registry) {
  registry.datasets.add<IdxConfig>(
      "idx_images", "Images in IDX files, as MNIST has them.",
      [](const IdxConfig& config, const DatasetContext&) -> std::unique_ptr<Dataset> {
        return std::make_unique<IdxImages>(config);
      });
  registry.datasets.add<IdxConfig>(
      "idx_rows",
      "Images in IDX files as sequences of their rows, from the top: vectors of numbers from 0 to "
      "1.",
      [](const IdxConfig& config, const DatasetContext&) -> std::unique_ptr<Dataset> {
        return std::make_unique<IdxRows>(config);
      });
  registry.datasets.add<ImageFolderConfig>(
      "image_folder", "PNG and JPEG files, a folder for each class.",
      [](const ImageFolderConfig& config, const DatasetContext&) -> std::unique_ptr<Dataset> {
        return std::make_unique<ImageFolder>(
            ImageFolderOptions{config.folder.path, config.size, config.channels});
      });
}

}  // namespace triga
