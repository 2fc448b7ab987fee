// ImageFolder: images in a folder for each class, as torchvision's ImageFolder has them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "triga/dataset.h"

namespace triga {

struct ImageFolderOptions {
  std::string folder;
  int64_t size = 224;    // pixels, of a square
  int64_t channels = 3;  // 1: grey
};

/// Samples {"image": uint8 [channels, size, size], "label": int64 []}. A label is the place of the
/// class's folder among all, sorted by name; images in no such folder have none. The shorter side is
/// scaled to `size` (bilinear, with antialiasing), the longer one cut on both sides.
class ImageFolder final : public Dataset {
 public:
  /// Finds files that end in .png, .jpg or .jpeg. Throws: DataError (no such folder, none in it, some
  /// in folders and some not).
  explicit ImageFolder(const ImageFolderOptions& options);

  int64_t size() const override { return static_cast<int64_t>(files_.size()); }
  /// Throws: DataError that names the file.
  Sample get(int64_t index) const override;
  /// Of names and sizes of files, and of the options: their content is not read.
  std::string fingerprint() const override;

 private:
  struct File {
    std::string path;  // below the folder
    int64_t label;     // -1: none
    int64_t bytes;
  };
  void add_folder(const std::string& name, int64_t label);

  ImageFolderOptions options_;
  std::vector<File> files_;
};

}  // namespace triga
