// Image files (triga/image.h), by libpng's and libjpeg-turbo's simple interfaces.
#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <png.h>
#include <turbojpeg.h>

#include <algorithm>
#include <memory>

#include "base/files.h"
#include "triga/image.h"

namespace triga {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 28;  // a header that lies must not take all memory

[[noreturn]] void fail(const std::string& path, const std::string& why) {
  throw DataError(path + ": " + why);
}

std::string bytes_of_file(const std::string& path) {
  try {
    return read_text(posix_files(), path);
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
}

/// [H, W, C] as files have it, to [C, H, W].
at::Tensor channels_first(const at::Tensor& pixels) {
  return pixels.permute({2, 0, 1}).contiguous();
}

at::Tensor empty_pixels(const std::string& path, int64_t height, int64_t width, int64_t channels) {
  if (height <= 0 || width <= 0 || height > kMostPixels / width)
    fail(path, c10::str("an image of ", width, " x ", height, " pixels"));
  return at::empty({height, width, channels}, at::kByte);
}

struct PngImage : png_image {
  PngImage() : png_image{} { version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

at::Tensor decode_png(const std::string& bytes, const std::string& path) {
  PngImage image;
  if (!png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()))
    fail(path, c10::str("a PNG that cannot be read: ", image.message));
  const bool is_grey = (image.format & PNG_FORMAT_FLAG_COLOR) == 0;
  image.format = is_grey ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  const at::Tensor pixels = empty_pixels(path, image.height, image.width, is_grey ? 1 : 3);
  const png_color black{0, 0, 0};
  if (!png_image_finish_read(&image, &black, pixels.data_ptr(), 0, nullptr) ||
      PNG_IMAGE_FAILED(image))
    fail(path, c10::str("a PNG that cannot be read: ", image.message));
  return channels_first(pixels);
}

struct DestroyJpeg {
  void operator()(void* handle) const { tjDestroy(handle); }
};

at::Tensor decode_jpeg(const std::string& bytes, const std::string& path) {
  const std::unique_ptr<void, DestroyJpeg> handle(tjInitDecompress());
  TRIGA_CHECK(handle != nullptr, "TurboJPEG: ", tjGetErrorStr2(nullptr));
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  int width = 0, height = 0, subsampling = 0, colors = 0;
  if (tjDecompressHeader3(handle.get(), data, bytes.size(), &width, &height, &subsampling,
                          &colors) != 0)
    fail(path, c10::str("a JPEG that cannot be read: ", tjGetErrorStr2(handle.get())));
  const bool is_grey = colors == TJCS_GRAY;
  const at::Tensor pixels = empty_pixels(path, height, width, is_grey ? 1 : 3);
  if (tjDecompress2(handle.get(), data, bytes.size(), pixels.data_ptr<uint8_t>(), width, 0, height,
                    is_grey ? TJPF_GRAY : TJPF_RGB, TJFLAG_ACCURATEDCT) != 0)
    fail(path, c10::str("a JPEG that cannot be read: ", tjGetErrorStr2(handle.get())));
  return channels_first(pixels);
}

}  // namespace

at::Tensor read_image(const std::string& path) {
  const std::string bytes = bytes_of_file(path);
  if (bytes.starts_with("\x89PNG")) return decode_png(bytes, path);
  if (bytes.starts_with("\xFF\xD8\xFF")) return decode_jpeg(bytes, path);
  fail(path, "neither PNG nor JPEG");
}

std::string encode_png(const at::Tensor& image) {
  TRIGA_CHECK(image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3) &&
                  image.scalar_type() == at::kByte,
              "an image is bytes [1 or 3, H, W], not ", image.toString(), " ", image.sizes());
  const at::Tensor pixels = image.permute({1, 2, 0}).contiguous();
  PngImage png;
  png.height = static_cast<png_uint_32>(image.size(1));
  png.width = static_cast<png_uint_32>(image.size(2));
  png.format = image.size(0) == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  std::string bytes;
  bool is_done = png_image_write_to_memory(&png, nullptr, &size, 0, pixels.data_ptr(), 0, nullptr);
  if (is_done) {
    bytes.resize(size);
    is_done =
        png_image_write_to_memory(&png, bytes.data(), &size, 0, pixels.data_ptr(), 0, nullptr);
  }
  TRIGA_CHECK(is_done, "libpng: ", png.message);
  bytes.resize(size);
  return bytes;
}

at::Tensor image_grid(const std::vector<at::Tensor>& images, int64_t columns) {
  TRIGA_CHECK(!images.empty() && columns > 0, images.size(), " images, ", columns, " columns");
  constexpr int64_t kGap = 2;
  const auto count = static_cast<int64_t>(images.size());
  columns = std::min(columns, count);
  const int64_t rows = (count + columns - 1) / columns;
  const int64_t height = images[0].size(1), width = images[0].size(2);
  at::Tensor grid =
      at::zeros({images[0].size(0), rows * (height + kGap) - kGap, columns * (width + kGap) - kGap},
                at::kByte);
  for (int64_t i = 0; i < count; ++i)
    grid.narrow(1, i / columns * (height + kGap), height)
        .narrow(2, i % columns * (width + kGap), width)
        .copy_(images[static_cast<size_t>(i)]);
  return grid;
}

at::Tensor bytes_of_image(const at::Tensor& image) {
  return ((image.clamp(-1, 1) + 1) * 127.5).round().to(at::kByte);
}

}  // namespace triga
