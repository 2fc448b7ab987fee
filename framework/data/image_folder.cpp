#include "data/image_folder.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/scalar_tensor.h>

#include <algorithm>
#include <filesystem>

#include "data/file_list.h"
#include "data/fingerprint.h"
#include "data/image_scaling.h"
#include "triga/error.h"
#include "triga/image.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

bool is_image(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

at::Tensor with_channels(const at::Tensor& image, int64_t channels) {
  if (image.size(0) == channels) return image;
  if (channels == 3) return image.expand({3, -1, -1});
  // ITU-R 601-2, as Pillow's mode L.
  const at::Tensor grey = 0.299 * image[0].to(at::kFloat) + 0.587 * image[1].to(at::kFloat) +
                          0.114 * image[2].to(at::kFloat);
  return grey.round().to(at::kByte).unsqueeze(0);
}

}  // namespace

ImageFolder::ImageFolder(const ImageFolderOptions& options) : options_(options) {
  require_file(options.folder);
  std::error_code error;
  std::vector<std::string> classes;
  for (const fs::directory_entry& entry : fs::directory_iterator(options.folder, error))
    if (entry.is_directory()) classes.push_back(entry.path().filename().string());
  if (error) throw DataError(c10::str(options.folder, ": ", error.message()));
  std::sort(classes.begin(), classes.end());
  add_folder("", -1);
  const bool has_unlabelled = !files_.empty();
  for (size_t i = 0; i < classes.size(); ++i) add_folder(classes[i], static_cast<int64_t>(i));
  if (files_.empty())
    throw DataError(
        c10::str(options.folder, ": no image (.png, .jpg, .jpeg) in it, nor in a folder of it"));
  if (has_unlabelled && files_.back().label >= 0)
    throw DataError(c10::str(options.folder, ": ", files_.front().path, " is in no folder and ",
                             files_.back().path, " is in one: images have all a class, or none"));
}

void ImageFolder::add_folder(const std::string& name, int64_t label) {
  std::vector<File> found;
  const fs::path folder = fs::path(options_.folder) / name;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error))
    if (!entry.is_directory() && is_image(entry.path()))
      found.push_back({(fs::path(name) / entry.path().filename()).string(), label,
                       static_cast<int64_t>(entry.file_size())});
  if (error) throw DataError(c10::str(folder.string(), ": ", error.message()));
  std::sort(found.begin(), found.end(),
            [](const File& left, const File& right) { return left.path < right.path; });
  files_.insert(files_.end(), found.begin(), found.end());
}

Sample ImageFolder::get(int64_t index) const {
  const File& file = files_[static_cast<size_t>(index)];
  const std::string path = (fs::path(options_.folder) / file.path).string();
  const at::Tensor image = with_channels(read_image(path), options_.channels);
  Sample sample = {{"image", scaled_to_square(image, options_.size).contiguous()}};
  if (file.label >= 0) sample.set("label", at::scalar_tensor(file.label, at::kLong));
  return sample;
}

std::string ImageFolder::fingerprint() const {
  Fingerprint fingerprint;
  fingerprint.add("images");
  fingerprint.add(options_.size);
  fingerprint.add(options_.channels);
  for (const File& file : files_) {
    fingerprint.add(file.path);
    fingerprint.add(file.bytes);
  }
  return fingerprint.text();
}

}  // namespace triga
