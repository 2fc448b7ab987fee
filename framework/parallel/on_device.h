// A batch where the model is.
#pragma once

#include <ATen/core/Tensor.h>

#include "triga/batch.h"

namespace triga {

/// From pinned memory the copy goes on while the host does.
inline Batch batch_on_device(const Batch& batch, at::Device device) {
  if (device.is_cpu()) return batch;
  Batch moved = batch;
  for (auto& [name, tensor] : moved.fields) tensor = tensor.to(device, /*non_blocking=*/true);
  return moved;
}

}  // namespace triga
