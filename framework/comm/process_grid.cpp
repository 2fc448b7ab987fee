#include "comm/process_grid.h"

namespace triga {

GridShape resolve_grid(int world_size, std::optional<int64_t> dp, int64_t pp) {
  const std::string ranks = c10::str(world_size, world_size == 1 ? " rank runs" : " ranks run");
  TRIGA_CHECK(pp >= 1 && (!dp || *dp >= 1), "dp and pp are at least 1");
  if (!dp && world_size % pp != 0)
    throw ConfigError(c10::str("pp: ", pp, " stages cannot share ", world_size,
                               " ranks evenly, and dp is auto. Start a "
                               "multiple of ",
                               pp, " ranks, or choose a pp that divides ", world_size));
  if (dp && *dp * pp != world_size)
    throw ConfigError(c10::str("dp * pp = ", *dp, " * ", pp, " = ", *dp * pp, ", but ", ranks,
                               ". Start ", *dp * pp, " ranks, or set dp: auto"));
  return {static_cast<int>(dp.value_or(world_size / pp)), static_cast<int>(pp)};
}

ProcessGrid::ProcessGrid(Communicator& world, GridShape shape) : world_(world), shape_(shape) {
  TRIGA_CHECK(shape.dp >= 1 && shape.pp >= 1 && shape.dp * shape.pp == world.size(), "a grid of ",
              shape.dp, " x ", shape.pp, " on ", world.size(), " ranks");
  data_ = world.split(pp_rank(), "data");
  pipeline_ = world.split(dp_rank(), "pipeline");
}

}  // namespace triga
