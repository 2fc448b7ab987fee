#include "checkpoint/tensor_files.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "checkpoint/guard.h"
#include "checkpoint/json.h"

namespace triga {
namespace {

constexpr char kSuffix[] = ".safetensors";
constexpr char kIndexSuffix[] = ".safetensors.index.json";

// A pickle runs code when it is opened, so it is not read; Python can turn it into safetensors.
[[noreturn]] void refuse_pickle(const Path& pickle, const Path& wanted) {
  throw CheckpointError(fmt::format(
      "{0} is a Python pickle, which Triga does not open. This line of Python writes {1} from it:\n"
      "  python3 -c \"import torch, safetensors.torch as s; s.save_file({{k: "
      "v.clone().contiguous() for k, v in "
      "torch.load('{0}', map_location='cpu', weights_only=True).items()}}, '{1}', "
      "metadata={{'format': 'pt'}})\"",
      pickle.string(), wanted.string()));
}

std::optional<Path> find_pickle(FileSystem& files, const Path& folder, const std::string& stem) {
  for (const auto& name :
       {stem + ".bin", stem + ".pt", stem + ".pth", std::string("pytorch_model.bin"),
        std::string("pytorch_model.bin.index.json"), std::string("model.pt")})
    if (exists(files, folder / name)) return folder / name;
  return std::nullopt;
}

bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

}  // namespace

bool TensorFiles::exist(FileSystem& files, const Path& folder, const std::string& stem) {
  return as_checkpoint([&] {
    return exists(files, folder / (stem + kSuffix)) ||
           exists(files, folder / (stem + kIndexSuffix));
  });
}

TensorFiles::TensorFiles(FileSystem& files, const Path& folder, const std::string& stem)
    : folder_(folder), stem_(stem) {
  const Path single = folder / (stem + kSuffix);
  const Path index = folder / (stem + kIndexSuffix);
  as_checkpoint([&] {
    if (exists(files, single)) {
      shards_.push_back(std::make_unique<SafetensorsFile>(files, single));
      for (const auto& info : shards_.back()->tensors())
        places_[info.name] = {shards_.back().get(), &info};
    } else if (exists(files, index)) {
      read_index(files, index);
    } else if (const auto pickle = find_pickle(files, folder, stem)) {
      refuse_pickle(*pickle, single);
    } else {
      throw CheckpointError(
          fmt::format("there is neither {} nor {}", single.string(), index.string()));
    }
  });
}

// The index says which file holds which tensor; tensors of a file that it does not name are not
// part of the model.
void TensorFiles::read_index(FileSystem& files, const Path& index) {
  const std::string where = index.string();
  const auto weight_map = json_member<std::map<std::string, std::string>>(
      parse_json(read_text(files, index), where), "weight_map", where);
  std::map<std::string, const SafetensorsFile*> opened;
  for (const auto& [name, file_name] : weight_map) {
    if (!is_plain_name(file_name))
      throw CheckpointError(
          fmt::format("{}: '{:.80}' is not the name of a file in this folder", where, file_name));
    auto& file = opened[file_name];
    if (!file) {
      shards_.push_back(std::make_unique<SafetensorsFile>(files, folder_ / file_name));
      file = shards_.back().get();
    }
    const TensorInfo* info = file->find(name);
    if (!info)
      throw CheckpointError(
          fmt::format("{}: tensor '{:.80}' is not in {}", where, name, file_name));
    places_[name] = {file, info};
  }
}

std::vector<std::string> TensorFiles::names() const {
  std::vector<std::string> names;
  for (const auto& entry : places_) names.push_back(entry.first);
  return names;
}

const TensorInfo* TensorFiles::find(std::string_view name) const {
  const auto entry = places_.find(name);
  return entry == places_.end() ? nullptr : entry->second.info;
}

const TensorFiles::Place& TensorFiles::place(std::string_view name) const {
  const auto entry = places_.find(name);
  if (entry == places_.end())
    throw CheckpointError(fmt::format("{}: there is no tensor '{:.80}'", where(), name));
  return entry->second;
}

at::Tensor TensorFiles::read(std::string_view name) const {
  const Place& place = this->place(name);
  return place.file->read(*place.info);
}

namespace {

void check_same(const SafetensorsFile& file, const TensorInfo& info, const at::Tensor& destination,
                bool any_float) {
  const bool same_dtype =
      info.dtype == destination.scalar_type() || (any_float && c10::isFloatingType(info.dtype) &&
                                                  c10::isFloatingType(destination.scalar_type()));
  if (destination.sizes() == at::IntArrayRef(info.shape) && same_dtype) return;
  throw CheckpointError(fmt::format("{}: tensor '{:.80}' is {}, but the model has {} [{}]",
                                    file.path().string(), info.name, describe(info),
                                    safetensors_dtype(destination.scalar_type()),
                                    fmt::join(destination.sizes(), ", ")));
}

}  // namespace

void TensorFiles::read_into(std::string_view name, const at::Tensor& destination) const {
  const Place& place = this->place(name);
  check_same(*place.file, *place.info, destination, /*any_float=*/false);
  place.file->read_range(*place.info, 0, destination);
}

void TensorFiles::read_converted(std::string_view name, const at::Tensor& destination) const {
  const Place& place = this->place(name);
  check_same(*place.file, *place.info, destination, /*any_float=*/true);
  if (place.info->dtype == destination.scalar_type()) {
    place.file->read_range(*place.info, 0, destination);
  } else {
    destination.copy_(place.file->read(*place.info));
  }
}

void TensorFiles::read_range(std::string_view name, int64_t first,
                             const at::Tensor& destination) const {
  const Place& place = this->place(name);
  if (place.info->dtype != destination.scalar_type() || first < 0 ||
      destination.numel() > place.info->numel() ||
      first > place.info->numel() - destination.numel())
    throw CheckpointError(fmt::format("{}: tensor '{:.80}' is {}: it has no elements {}..{} of {}",
                                      place.file->path().string(), name, describe(*place.info),
                                      first, first + destination.numel(),
                                      safetensors_dtype(destination.scalar_type())));
  place.file->read_range(*place.info, first, destination);
}

std::vector<TensorsByName> split_shards(const TensorsByName& tensors, uint64_t max_shard_bytes) {
  std::vector<TensorsByName> shards;
  uint64_t shard_bytes = 0;
  for (const auto& [name, tensor] : tensors) {
    const uint64_t bytes = tensor.nbytes();
    if (shards.empty() || shard_bytes + bytes > max_shard_bytes) {
      shards.emplace_back();
      shard_bytes = 0;
    }
    shards.back()[name] = tensor;
    shard_bytes += bytes;
  }
  return shards;
}

ShardContents contents_of(const std::vector<TensorsByName>& shards) {
  ShardContents contents;
  for (const TensorsByName& shard : shards) {
    auto& names = contents.names.emplace_back();
    for (const auto& [name, tensor] : shard) {
      names.push_back(name);
      contents.bytes += tensor.nbytes();
    }
  }
  return contents;
}

ShardPlan name_shards(std::vector<TensorsByName> mine, const std::string& stem, size_t rank,
                      const std::vector<ShardContents>& all) {
  size_t num_shards = 0, num_before = 0;
  uint64_t total_bytes = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i < rank) num_before += all[i].names.size();
    num_shards += all[i].names.size();
    total_bytes += all[i].bytes;
  }
  ShardPlan plan;
  if (num_shards <= 1) {  // tensors that do not exist are one empty file
    if (mine.empty() && num_shards == 0 && rank == 0) mine.emplace_back();
    if (!mine.empty()) plan.files.emplace_back(stem + kSuffix, std::move(mine[0]));
    return plan;
  }
  const auto file_name = [&](size_t i) {
    return fmt::format("{}-{:05}-of-{:05}{}", stem, i + 1, num_shards, kSuffix);
  };
  for (size_t i = 0; i < mine.size(); ++i)
    plan.files.emplace_back(file_name(num_before + i), std::move(mine[i]));
  if (rank != 0) return plan;
  Json index = {{"metadata", {{"total_size", total_bytes}}}, {"weight_map", Json::object()}};
  size_t shard = 0;
  for (const ShardContents& contents : all)
    for (const auto& names : contents.names) {
      for (const std::string& name : names) index["weight_map"][name] = file_name(shard);
      ++shard;
    }
  plan.index_name = stem + kIndexSuffix;
  plan.index = index.dump(2) + "\n";
  return plan;
}

ShardPlan plan_shards(const TensorsByName& tensors, const std::string& stem,
                      uint64_t max_shard_bytes) {
  std::vector<TensorsByName> shards = split_shards(tensors, max_shard_bytes);
  const ShardContents contents = contents_of(shards);
  return name_shards(std::move(shards), stem, 0, {contents});
}

}  // namespace triga
