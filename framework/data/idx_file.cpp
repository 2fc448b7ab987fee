#include "data/idx_file.h"

#include <ATen/ops/empty.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "data/file_list.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr unsigned char kBytes = 0x08;  // the only element type of IDX that images have
constexpr int64_t kMostElements = int64_t{1} << 36;

struct CloseFile {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

class Reading {
 public:
  explicit Reading(const std::string& path) : path_(path) {
    require_file(path);
    file_.reset(gzopen(path.c_str(), "rb"));
    if (!file_) fail(std::strerror(errno));
  }

  [[noreturn]] void fail(const std::string& why) const { throw DataError(path_ + ": " + why); }

  void read(unsigned char* to, int64_t size) {
    while (size > 0) {
      const auto part = static_cast<unsigned>(std::min<int64_t>(size, 1 << 20));
      const int count = gzread(file_.get(), to, part);
      if (count < 0) fail(problem());
      if (count == 0) fail("ends too early for what it says to hold");
      to += count;
      size -= count;
    }
  }

 private:
  std::string problem() const {
    int code = 0;
    const char* message = gzerror(file_.get(), &code);
    return code == Z_ERRNO ? std::strerror(errno) : message;
  }

  std::string path_;
  std::unique_ptr<gzFile_s, CloseFile> file_;
};

}  // namespace

at::Tensor read_idx(const std::string& path, int num_dims) {
  Reading file(path);
  unsigned char magic[4];
  file.read(magic, 4);
  if (magic[0] != 0 || magic[1] != 0 || magic[2] != kBytes || magic[3] != num_dims)
    file.fail(
        c10::str("not an IDX file of bytes in ", num_dims, " dimensions: images have 3, labels 1"));
  std::vector<int64_t> shape;
  int64_t num_elements = 1;
  for (int i = 0; i < num_dims; ++i) {
    unsigned char size[4];
    file.read(size, 4);
    shape.push_back(int64_t{size[0]} << 24 | size[1] << 16 | size[2] << 8 | size[3]);
    num_elements *= shape.back();
    if (num_elements > kMostElements) file.fail("says to hold more than 64 GB");
  }
  at::Tensor data = at::empty(shape, at::kByte);
  file.read(data.mutable_data_ptr<uint8_t>(), num_elements);
  return data;
}

}  // namespace triga
