// TensorFiles: tensors by name in `<stem>.safetensors`, or in shards listed by
// `<stem>.safetensors.index.json`: how the weights of a model, and the state of an optimizer, lie
// in a directory. Opening reads only headers.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/safetensors.h"

namespace triga {

/// Thread-safe. Every function throws CheckpointError with the path of the file.
class TensorFiles {
 public:
  /// Also throws when there is only a pickle (`.bin`, `.pt`): with the line of Python that converts
  /// it.
  TensorFiles(FileSystem& files, const Path& folder, const std::string& stem);

  /// Whether there is something to open.
  static bool exist(FileSystem& files, const Path& folder, const std::string& stem);

  std::vector<std::string> names() const;  // sorted
  const TensorInfo* find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  const std::vector<std::unique_ptr<SafetensorsFile>>& shards() const { return shards_; }

  std::string where() const {
    return (folder_ / (stem_ + ".safetensors")).string();
  }  // for messages

  at::Tensor read(std::string_view name) const;

  /// Fills `destination` (CPU, contiguous). Throws also when shape or dtype differ.
  void read_into(std::string_view name, const at::Tensor& destination) const;

  /// The same, but a floating-point tensor may be stored in another floating-point dtype: it is
  /// converted.
  void read_converted(std::string_view name, const at::Tensor& destination) const;

  /// Elements [first, first + destination.numel()) of the flattened tensor, without reading the
  /// rest: what a rank needs that owns a slice. Requires and throws as read_into, but for the
  /// shape.
  void read_range(std::string_view name, int64_t first, const at::Tensor& destination) const;

 private:
  struct Place {
    const SafetensorsFile* file;
    const TensorInfo* info;
  };
  const Place& place(std::string_view name) const;
  void read_index(FileSystem& files, const Path& index);

  Path folder_;
  std::string stem_;
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::map<std::string, Place, std::less<>> places_;
};

/// The file names and contents that hold `tensors`: one file, or shards and the text of their
/// index.
struct ShardPlan {
  std::vector<std::pair<std::string, TensorsByName>> files;  // "model-00001-of-00002.safetensors"
  std::string index_name;                                    // "" for one file
  std::string index;                                         // its text
};

/// Shards of at most `max_shard_bytes` of tensors each; a larger tensor has one of its own.
std::vector<TensorsByName> split_shards(const TensorsByName& tensors, uint64_t max_shard_bytes);

/// What a rank's shards hold.
struct ShardContents {
  std::vector<std::vector<std::string>> names;  // [shard] of its tensors
  uint64_t bytes = 0;
};
ShardContents contents_of(const std::vector<TensorsByName>& shards);

/// Names the shards of one rank among those of all: `all[rank]` are the contents of `mine`. The
/// index is in the plan of rank 0.
ShardPlan name_shards(std::vector<TensorsByName> mine, const std::string& stem, size_t rank,
                      const std::vector<ShardContents>& all);

/// The same for one rank alone.
ShardPlan plan_shards(const TensorsByName& tensors, const std::string& stem,
                      uint64_t max_shard_bytes);

}  // namespace triga
