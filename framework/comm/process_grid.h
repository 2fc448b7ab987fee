// ProcessGrid: where a rank stands on the named axes of a run, and the communicator along each.
//
// Rank order: rank = pp_rank * dp + dp_rank. The ranks that share a pipeline stage are neighbours,
// so that gradients, which are the larger traffic, stay inside a host as far as they can;
// activations cross hosts.
//
//   dp = 3, pp = 2:        dp_rank 0   1   2
//                stage 0           0   1   2    <- group "data" of stage 0
//                stage 1           3   4   5
//                                  ^-- group "pipeline" of dp_rank 0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "comm/communicator.h"

namespace triga {

struct GridShape {
  int dp = 1;
  int pp = 1;
};

/// The grid that an experiment asks for, on so many ranks. `dp` nothing: as many as there are ranks
/// for ("auto"). Throws: ConfigError when dp * pp is not the number of ranks.
GridShape resolve_grid(int world_size, std::optional<int64_t> dp, int64_t pp);

class ProcessGrid {
 public:
  /// `world` must outlive the grid. Requires: shape.dp * shape.pp == world.size(). Collective.
  ProcessGrid(Communicator& world, GridShape shape);

  Communicator& world() const { return world_; }
  /// Ranks with the same stage, by dp_rank.
  Communicator& data() const { return *data_; }
  /// The stages of one replica of the model, by stage.
  Communicator& pipeline() const { return *pipeline_; }

  int rank() const { return world_.rank(); }
  int dp() const { return shape_.dp; }
  int pp() const { return shape_.pp; }
  int dp_rank() const { return world_.rank() % shape_.dp; }
  int pp_rank() const { return world_.rank() / shape_.dp; }
  bool is_first_stage() const { return pp_rank() == 0; }
  bool is_last_stage() const { return pp_rank() == shape_.pp - 1; }
  /// Rank of the world at a place of the grid.
  int rank_at(int dp_rank, int pp_rank) const { return pp_rank * shape_.dp + dp_rank; }

 private:
  Communicator& world_;
  GridShape shape_;
  std::unique_ptr<Communicator> data_, pipeline_;
};

}  // namespace triga
