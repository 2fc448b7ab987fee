// RunDirectory: the names in a run's folder (`runs/<name>/`). Who looks for a file of a run asks
// here.
#pragma once

#include <string>

#include "base/files.h"

namespace triga {

struct RunDirectory {
  Path root;

  Path resolved() const { return root / "resolved.yaml"; }
  /// Of a run that began from a checkpoint of another one: the path that was asked for.
  Path origin() const { return root / "resumed_from"; }
  Path status() const { return root / "status.json"; }
  Path metrics() const { return root / "metrics.jsonl"; }
  Path gradients() const { return root / "gradients.csv"; }
  Path gradients_plot() const { return root / "gradients.svg"; }
  Path tensorboard() const { return root / "tensorboard"; }
  Path samples() const { return root / "samples"; }
  Path logs() const { return root / "log"; }
  Path checkpoints() const { return root / "checkpoints"; }
  Path failure() const { return root / "failure.txt"; }
  Path lease() const { return root / "lease.json"; }
  /// How each rank is doing, while the run lives.
  Path rank_records() const { return root / ".progress"; }
  Path rank_record(int rank) const {
    return rank_records() / ("rank-" + std::to_string(rank) + ".json");
  }
};

}  // namespace triga
