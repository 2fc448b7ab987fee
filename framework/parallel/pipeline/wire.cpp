#include "parallel/pipeline/wire.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <c10/core/ScalarType.h>

#include "triga/error.h"

namespace triga {
namespace {

constexpr int64_t kAlignment = 64;  // bytes
constexpr int64_t kUndefined = -1;
constexpr int kEntrySize = 3 + kMaxWireDimensions;

/// One tensor's part of a header.
struct Entry {
  int64_t type = kUndefined;
  bool requires_grad = false;
  std::vector<int64_t> sizes;

  int64_t num_bytes() const {
    if (type == kUndefined) return 0;
    int64_t numel = 1;
    for (int64_t size : sizes) numel *= size;
    return numel * static_cast<int64_t>(c10::elementSize(static_cast<at::ScalarType>(type)));
  }
  int64_t padded_bytes() const { return (num_bytes() + kAlignment - 1) / kAlignment * kAlignment; }
};

std::vector<Entry> entries_of(const at::Tensor& header) {
  TRIGA_CHECK(header.is_cpu() && header.numel() > 0, "not a wire header");
  const int64_t* numbers = header.const_data_ptr<int64_t>();
  const auto num_tensors = static_cast<size_t>(numbers[0]);
  TRIGA_CHECK(numbers[0] >= 0 && header.numel() == wire_header_size(num_tensors), "wire header of ",
              numbers[0], " tensors in ", header.numel(), " numbers");
  std::vector<Entry> entries(num_tensors);
  for (size_t i = 0; i < entries.size(); ++i) {
    const int64_t* entry = numbers + 1 + static_cast<int64_t>(i) * kEntrySize;
    entries[i].type = entry[0];
    entries[i].requires_grad = entry[1] != 0;
    TRIGA_CHECK(0 <= entry[2] && entry[2] <= kMaxWireDimensions, "wire header of ", entry[2],
                " dimensions");
    entries[i].sizes.assign(entry + 3, entry + 3 + entry[2]);
  }
  return entries;
}

}  // namespace

at::Tensor wire_header(const Activations& activations, const std::vector<std::string>& names) {
  at::Tensor header = at::zeros({wire_header_size(names.size())}, at::kLong);
  int64_t* numbers = header.mutable_data_ptr<int64_t>();
  numbers[0] = static_cast<int64_t>(names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    int64_t* entry = numbers + 1 + static_cast<int64_t>(i) * kEntrySize;
    const at::Tensor& tensor = activations[names[i]];
    if (!tensor.defined()) {
      entry[0] = kUndefined;
      continue;
    }
    TRIGA_CHECK(tensor.dim() <= kMaxWireDimensions, "'", names[i], "' has ", tensor.dim(),
                " dimensions; at most ", kMaxWireDimensions, " pass a boundary");
    entry[0] = static_cast<int64_t>(tensor.scalar_type());
    entry[1] = tensor.requires_grad() ? 1 : 0;
    entry[2] = tensor.dim();
    for (int64_t d = 0; d < tensor.dim(); ++d) entry[3 + d] = tensor.size(d);
  }
  return header;
}

int64_t wire_bytes(const at::Tensor& header) {
  int64_t total = 0;
  for (const Entry& entry : entries_of(header)) total += entry.padded_bytes();
  return total;
}

at::Tensor wire_pack(const Activations& activations, const std::vector<std::string>& names,
                     const at::Tensor& header) {
  at::Device device = at::kCPU;
  for (const std::string& name : names)
    if (activations[name].defined()) device = activations[name].device();
  at::Tensor bytes =
      at::empty({wire_bytes(header)}, at::TensorOptions().dtype(at::kByte).device(device));
  int64_t offset = 0;
  const std::vector<Entry> entries = entries_of(header);
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].type == kUndefined) continue;
    const at::Tensor& tensor = activations[names[i]];
    bytes.narrow(0, offset, entries[i].num_bytes())
        .view(tensor.scalar_type())
        .view(tensor.sizes())
        .copy_(tensor.detach());
    offset += entries[i].padded_bytes();
  }
  return bytes;
}

Activations wire_unpack(const at::Tensor& bytes, const std::vector<std::string>& names,
                        const at::Tensor& header) {
  Activations activations;
  int64_t offset = 0;
  const std::vector<Entry> entries = entries_of(header);
  TRIGA_CHECK(entries.size() == names.size(), "a header of ", entries.size(), " tensors for ",
              names.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    if (entries[i].type == kUndefined) {
      activations.set(names[i], at::Tensor());
      continue;
    }
    activations.set(names[i], bytes.narrow(0, offset, entries[i].num_bytes())
                                  .view(static_cast<at::ScalarType>(entries[i].type))
                                  .view(entries[i].sizes)
                                  .detach()
                                  .set_requires_grad(entries[i].requires_grad));
    offset += entries[i].padded_bytes();
  }
  return activations;
}

}  // namespace triga
