#include "checkpoint/safetensors.h"

#include <ATen/ops/empty.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/checksum.h"
#include "checkpoint/guard.h"
#include "checkpoint/safetensors_header.h"

namespace triga {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as they lie in memory");

namespace {

// Whole pages first, which lie in the file as in memory and so need no copy on their way to the disk;
// then largest elements first, then by name: without gaps, every tensor is still aligned to its
// element.
std::vector<TensorInfo> lay_out(const TensorsByName& tensors) {
  std::vector<TensorInfo> infos;
  for (const auto& [name, tensor] : tensors) {
    TRIGA_CHECK(tensor.defined() && tensor.device().is_cpu(), "tensor '", name,
                "' to be written is not on the CPU");
    safetensors_dtype(tensor.scalar_type());
    infos.push_back({name, tensor.scalar_type(), tensor.sizes().vec(), 0,
                     static_cast<uint64_t>(tensor.nbytes())});
  }
  const auto rank = [](const TensorInfo& info) {
    return std::pair(info.bytes % kDirectAlignment == 0, c10::elementSize(info.dtype));
  };
  std::stable_sort(infos.begin(), infos.end(),
                   [&](const TensorInfo& a, const TensorInfo& b) { return rank(a) > rank(b); });
  return infos;
}

SafetensorsHeader read_header(const ReadableFile& file, const std::string& where) {
  if (file.size() < kLengthBytes)
    throw CheckpointError(
        fmt::format("{}: not a safetensors file: only {} bytes", where, file.size()));
  uint64_t length = 0;
  file.read(0, &length, sizeof length);
  if (length > kMaxHeaderBytes || length > file.size() - kLengthBytes)
    throw CheckpointError(fmt::format(
        "{}: its header would be {} bytes long, but the file has {} and the limit is {}", where,
        length, file.size(), kMaxHeaderBytes));
  std::string text(length, '\0');
  file.read(kLengthBytes, text.data(), text.size());
  const uint64_t data_offset = kLengthBytes + length;
  return parse_header(text, data_offset, file.size() - data_offset, where);
}

// A bool of another value than 0 and 1 is undefined behaviour for all code that reads it.
void check_booleans(const at::Tensor& tensor, const std::string& where, const std::string& name) {
  const auto* bytes = static_cast<const unsigned char*>(tensor.const_data_ptr());
  if (std::any_of(bytes, bytes + tensor.nbytes(), [](unsigned char byte) { return byte > 1; }))
    throw CheckpointError(
        fmt::format("{}: tensor '{:.80}' has a BOOL that is neither 0 nor 1", where, name));
}

}  // namespace

int64_t TensorInfo::numel() const {
  int64_t product = 1;
  for (int64_t extent : shape) product *= extent;
  return product;
}

std::string describe(const TensorInfo& info) {
  return fmt::format("{} [{}]", safetensors_dtype(info.dtype), fmt::join(info.shape, ", "));
}

SafetensorsFile::SafetensorsFile(FileSystem& files, const Path& path) : path_(path) {
  as_checkpoint([&] {
    file_ = files.open(path);
    auto header = read_header(*file_, path.string());
    metadata_ = std::move(header.metadata);
    tensors_ = std::move(header.tensors);
  });
  for (size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
}

const TensorInfo* SafetensorsFile::find(std::string_view name) const {
  const auto entry = index_.find(name);
  return entry == index_.end() ? nullptr : &tensors_[entry->second];
}

at::Tensor SafetensorsFile::read(const TensorInfo& info) const {
  auto tensor = at::empty(info.shape, info.dtype);
  read_range(info, 0, tensor);
  return tensor;
}

void SafetensorsFile::read_range(const TensorInfo& info, int64_t first,
                                 const at::Tensor& destination) const {
  TRIGA_CHECK(destination.device().is_cpu() && destination.is_contiguous() &&
                  destination.scalar_type() == info.dtype,
              "cannot read tensor '", info.name, "' into this destination");
  TRIGA_CHECK(first >= 0 && destination.numel() <= info.numel() &&
                  first <= info.numel() - destination.numel(),
              "elements ", first, "..", first + destination.numel(), " of tensor '", info.name,
              "' of ", info.numel());
  if (destination.numel() == 0) return;
  as_checkpoint([&] {
    file_->read(info.offset + static_cast<uint64_t>(first) * c10::elementSize(info.dtype),
                destination.mutable_data_ptr(), destination.nbytes());
  });
  if (info.dtype == at::kBool) check_booleans(destination, path_.string(), info.name);
}

void write_safetensors(ChecksummedFile& file, const TensorsByName& tensors,
                       const Metadata& metadata) {
  const auto infos = lay_out(tensors);
  const std::string header = format_header(infos, metadata);
  const uint64_t length = header.size();
  file.append(&length, sizeof length);
  file.append(header);
  for (const auto& info : infos) {
    const auto contiguous = tensors.at(info.name).resolve_conj().resolve_neg().contiguous();
    file.append(contiguous.const_data_ptr(), contiguous.nbytes());
  }
}

uint64_t safetensors_bytes(const TensorsByName& tensors, const Metadata& metadata) {
  const auto infos = lay_out(tensors);
  uint64_t bytes = kLengthBytes + format_header(infos, metadata).size();
  for (const auto& info : infos) bytes += info.bytes;
  return bytes;
}

}  // namespace triga
