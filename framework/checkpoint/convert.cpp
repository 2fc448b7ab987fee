#include "checkpoint/convert.h"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/checksum.h"
#include "checkpoint/json.h"
#include "checkpoint/safetensors.h"

namespace triga {
namespace {

/// transformers' and diffusers' word.
std::string word(at::ScalarType type) {
  return type == at::kBFloat16 ? "bfloat16" : type == at::kHalf ? "float16" : "float32";
}

/// Returns the bytes of the tensors.
uint64_t convert_file(FileSystem& files, const Path& folder, const std::string& name,
                      at::ScalarType type) {
  const SafetensorsFile from(files, folder / name);
  TensorsByName tensors;
  uint64_t bytes = 0;
  for (const TensorInfo& info : from.tensors()) {
    const at::Tensor tensor = from.read(info);
    at::Tensor& converted = tensors[info.name];
    converted = tensor.is_floating_point() ? tensor.to(type) : tensor;
    bytes += converted.nbytes();
  }
  const std::string draft = name + ".tmp";
  ChecksummedFile to(files, folder, draft);
  write_safetensors(to, tensors, from.metadata());
  to.finish();
  files.rename(folder / draft, folder / name);
  return bytes;
}

void set_member(FileSystem& files, const Path& file, const std::function<bool(Json&)>& change) {
  Json json = parse_json(read_text(files, file), file.string());
  if (change(json)) atomic_write(files, file, json.dump(2) + "\n");
}

}  // namespace

void convert_weights(FileSystem& files, const Path& folder, at::ScalarType type) {
  std::map<std::string, uint64_t> bytes_of;  // by file
  const std::vector<std::string> names = files.list(folder);
  for (const std::string& name : names) {
    if (files.kind(folder / name) == FileKind::kDirectory)
      convert_weights(files, folder / name, type);
    else if (name.ends_with(".safetensors"))
      bytes_of[name] = convert_file(files, folder, name, type);
  }
  for (const std::string& name : names) {
    if (name.ends_with(".safetensors.index.json"))
      set_member(files, folder / name, [&](Json& json) {
        std::set<std::string> shards;
        for (const auto& [tensor, file] : json["weight_map"].items()) shards.insert(file);
        uint64_t total = 0;
        for (const std::string& shard : shards) total += bytes_of[shard];
        json["metadata"]["total_size"] = total;
        return true;
      });
    if (name == "config.json")
      set_member(files, folder / name, [&](Json& json) {
        bool is_changed = false;
        for (const char* key : {"dtype", "torch_dtype"})
          if (json.contains(key)) {
            json[key] = word(type);
            is_changed = true;
          }
        return is_changed;
      });
  }
}

}  // namespace triga
