// The weights of a model directory in another floating-point type, for an export.
#pragma once

#include <c10/core/ScalarType.h>

#include "base/files.h"

namespace triga {

/// Rewrites every safetensors file in `folder` and the folders in it: floating-point tensors become
/// `type`, rounded to nearest; others stay. Indices of shards and `dtype` in config.json follow.
/// Throws: CheckpointError, FileError; then the folder is half converted.
void convert_weights(FileSystem& files, const Path& folder, at::ScalarType type);

}  // namespace triga
