// tensor_files write FOLDER: writes one tensor of every dtype, in one file and in shards.
// tensor_files read FOLDER STEM: prints name, dtype, shape and bytes of every tensor, a line each;
// or what is wrong.
#include "checkpoint/tensor_files.h"

#include <ATen/ATen.h>

#include <iostream>

#include "checkpoint/checksum.h"

namespace {

using namespace triga;

// Tensor i has 2 x (3 + i) elements: 0, 1, 2, ... (0, 1, 0, ... where there is room for no more).
TensorsByName one_of_each() {
  TensorsByName tensors;
  int i = 0;
  for (auto dtype : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                     at::kShort, at::kChar, at::kByte, at::kUInt16, at::kUInt32, at::kUInt64,
                     at::kBool, at::kFloat8_e5m2, at::kFloat8_e4m3fn, at::kComplexFloat}) {
    auto values = at::arange(2 * (3 + i), at::kFloat).view({2, 3 + i});
    if (dtype == at::kBool || c10::isFloat8Type(dtype)) values = values.remainder(2);
    tensors["layer." + safetensors_dtype(dtype)] = values.to(dtype);
    ++i;
  }
  tensors["scalar"] = at::scalar_tensor(7, at::kFloat);
  tensors["empty"] = at::zeros({0, 3}, at::kFloat);
  return tensors;
}

void write(const Path& folder) {
  for (const auto& [stem, limit] :
       {std::pair("whole", uint64_t{1} << 30), std::pair("sharded", uint64_t{100})}) {
    const auto plan = plan_shards(one_of_each(), stem, limit);
    for (const auto& [name, tensors] : plan.files) {
      ChecksummedFile file(posix_files(), folder, name);
      write_safetensors(file, tensors, {{"format", "pt"}});
      file.finish();
    }
    if (!plan.index_name.empty()) atomic_write(posix_files(), folder / plan.index_name, plan.index);
  }
}

void read(const Path& folder, const std::string& stem) {
  constexpr char kDigits[] = "0123456789abcdef";
  const TensorFiles files(posix_files(), folder, stem);
  for (const auto& name : files.names()) {
    const TensorInfo& info = *files.find(name);
    std::cout << name << "\t" << safetensors_dtype(info.dtype) << "\t"
              << at::IntArrayRef(info.shape) << "\t";
    const auto tensor = files.read(name);
    const auto* bytes = static_cast<const unsigned char*>(tensor.const_data_ptr());
    for (size_t i = 0; i < tensor.nbytes(); ++i)
      std::cout << kDigits[bytes[i] >> 4] << kDigits[bytes[i] & 15];
    std::cout << "\n";
  }
}

}  // namespace

int main(int num_arguments, char** arguments) {
  try {
    if (num_arguments == 3) write(arguments[2]);
    if (num_arguments == 4) read(arguments[2], arguments[3]);
    return 0;
  } catch (const CheckpointError& error) {
    std::cout << error.what() << "\n";
    return static_cast<int>(error.status());
  }
}
