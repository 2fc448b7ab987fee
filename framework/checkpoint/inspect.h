// What `triga checkpoint inspect` and `check` show: a checkpoint, or any model directory, as a
// report.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "checkpoint/manifest.h"
#include "checkpoint/tensor_files.h"

namespace triga {

struct CheckpointReport {
  struct Tensors {
    std::string path;  // of the safetensors file, relative to the directory
    Metadata metadata;
    std::vector<TensorInfo> tensors;
  };

  Path directory;
  std::optional<Manifest> manifest;  // none: a model directory that no run wrote
  std::optional<TrainingState> state;
  std::vector<Tensors> files;         // every *.safetensors, sorted by path
  std::vector<std::string> problems;  // a sentence each
  bool verified = false;              // all checksums were compared and hold

  int64_t num_elements() const;  // of the tensors outside training/
};

/// `verify`: read every byte and compare; else only headers, sizes and the manifest itself. Throws:
/// CheckpointError when `directory` is no directory or holds neither manifest nor tensors.
CheckpointReport inspect_checkpoint(FileSystem& files, const Path& directory, bool verify);

}  // namespace triga
