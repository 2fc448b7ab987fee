#include "checkpoint/inspect.h"

#include <algorithm>

#include "checkpoint/guard.h"
#include "checkpoint/reader.h"

namespace triga {
namespace {

// Paths of all *.safetensors below `directory`, relative to it.
void find_tensors(FileSystem& files, const Path& directory, const Path& folder,
                  std::vector<std::string>& found) {
  for (const auto& name : files.list(directory / folder)) {
    const Path path = folder / name;
    if (files.kind(directory / path) == FileKind::kDirectory) {
      find_tensors(files, directory, path, found);
    } else if (name.ends_with(".safetensors")) {
      found.push_back(path.string());
    }
  }
}

}  // namespace

int64_t CheckpointReport::num_elements() const {
  int64_t total = 0;
  for (const auto& file : files)
    if (!file.path.starts_with("training/"))
      for (const auto& info : file.tensors) total += info.numel();
  return total;
}

CheckpointReport inspect_checkpoint(FileSystem& files, const Path& directory, bool verify) {
  return as_checkpoint([&] {
    CheckpointReport report;
    report.directory = directory;
    std::vector<std::string> tensor_files;
    find_tensors(files, directory, "", tensor_files);
    const bool has_manifest = exists(files, directory / kManifestPath);
    if (tensor_files.empty() && !has_manifest)
      throw CheckpointError(directory.string() + " is not a checkpoint: there is neither " +
                            kManifestPath + " nor a .safetensors file in it");
    for (const auto& path : tensor_files) {
      try {
        const SafetensorsFile file(files, directory / path);
        report.files.push_back({path, file.metadata(), file.tensors()});
      } catch (const CheckpointError& error) {
        report.problems.push_back(error.what());
      }
    }
    const bool is_of_a_run = exists(files, directory / "training");
    if (!is_of_a_run) return report;
    try {
      const Checkpoint checkpoint(files, directory);
      report.manifest = checkpoint.manifest();
      report.state = checkpoint.state();
    } catch (const CheckpointError& error) {
      report.problems.push_back(error.what());
    }
    for (auto& problem :
         verify ? verify_checkpoint(files, directory) : verify_sizes(files, directory))
      if (std::find(report.problems.begin(), report.problems.end(), problem) ==
          report.problems.end())
        report.problems.push_back(std::move(problem));
    report.verified = verify && report.problems.empty();
    return report;
  });
}

}  // namespace triga
