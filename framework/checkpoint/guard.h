// The border between files and checkpoints: a file operation that fails is, to who asked for a
// checkpoint, a checkpoint error.
#pragma once

#include <utility>

#include "base/files.h"
#include "triga/error.h"

namespace triga {

/// Returns what `action` returns; its FileError becomes a CheckpointError of the same words.
template <class Action>
decltype(auto) as_checkpoint(Action&& action) {
  try {
    return std::forward<Action>(action)();
  } catch (const FileError& error) {
    throw CheckpointError(error.what());
  }
}

}  // namespace triga
