// Manifest: training/manifest.json, written last in a checkpoint: every other file with size and
// checksums, and what the checkpoint is (step, versions, metrics). It has a checksum of itself. A
// directory without it is not a checkpoint of a run.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "checkpoint/checksum.h"
#include "checkpoint/snapshot.h"

namespace triga {

inline constexpr char kManifestPath[] = "training/manifest.json";
inline constexpr char kStatePath[] = "training/state.json";
inline constexpr char kResolvedPath[] = "training/resolved.yaml";

struct Manifest {
  int64_t step = 0;
  Environment environment;
  std::map<std::string, double> metrics;
  std::vector<FileRecord> files;  // sorted by path; without the manifest

  bool operator==(const Manifest&) const = default;
};

/// Whether a path stays in the directory that it is relative to: no "..", not absolute.
bool is_path_inside(const std::string& path);

std::string to_json(const Manifest& manifest);
/// Throws: CheckpointError (not a manifest, newer version, checksum of itself differs, a path that
/// leaves the directory).
Manifest manifest_from_json(const std::string& text, const std::string& where);

/// The manifest of a checkpoint directory. Throws: CheckpointError.
Manifest read_manifest(FileSystem& files, const Path& checkpoint);

}  // namespace triga
