// Safetensors: the file format of tensors by name that PyTorch's world shares. A file is 8 bytes
// (little-endian length of the header), the header (JSON: name -> dtype, shape, range of bytes),
// and the bytes of the tensors, without gaps. The reader trusts nothing: every length, range,
// overlap and name is checked before any tensor is read, and memory is only taken for what the file
// really holds. The writer streams; it never holds more than the header.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace triga {

class ChecksummedFile;

/// Tensors to write: on the CPU, any strides.
using TensorsByName = std::map<std::string, at::Tensor>;
using Metadata = std::map<std::string, std::string>;

struct TensorInfo {
  std::string name;
  at::ScalarType dtype = at::ScalarType::Undefined;
  std::vector<int64_t> shape;
  uint64_t offset = 0;  // of its first byte in the file
  uint64_t bytes = 0;

  int64_t numel() const;
};

/// "F32", "BF16", ...: the format's word for a dtype. Throws: CheckpointError for one that the
/// format lacks.
std::string safetensors_dtype(at::ScalarType dtype);

/// "F32 [2, 3]", for messages.
std::string describe(const TensorInfo& info);

/// A file open for reading. Thread-safe. Every function throws CheckpointError with the path of the
/// file.
class SafetensorsFile {
 public:
  SafetensorsFile(FileSystem& files, const Path& path);

  const Path& path() const { return path_; }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<TensorInfo>& tensors() const {
    return tensors_;
  }                                                     // in the order of their bytes
  const TensorInfo* find(std::string_view name) const;  // null: not in this file

  /// A new tensor with the content of `info`, one of tensors().
  at::Tensor read(const TensorInfo& info) const;

  /// Elements [first, first + destination.numel()) of the flattened tensor. Requires: `destination`
  /// is contiguous, on the CPU and of the tensor's dtype; the range lies in the tensor.
  void read_range(const TensorInfo& info, int64_t first, const at::Tensor& destination) const;

 private:
  Path path_;
  std::unique_ptr<ReadableFile> file_;
  Metadata metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> index_;  // name -> place in tensors_
};

/// Appends a whole safetensors file. The data starts at a multiple of 64 bytes, and every tensor is
/// aligned to its element. Throws: CheckpointError for a dtype that the format lacks; FileError.
void write_safetensors(ChecksummedFile& file, const TensorsByName& tensors,
                       const Metadata& metadata);

/// Bytes of the file that write_safetensors writes.
uint64_t safetensors_bytes(const TensorsByName& tensors, const Metadata& metadata);

}  // namespace triga
