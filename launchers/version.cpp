#include <fmt/format.h>
#include <torch/version.h>
#include <triga_commit.h>  // written by each build

#include "comm/mpi_communicator.h"
#include "launchers/command.h"
#include "triga/plugin.h"

namespace triga {
namespace {

std::string mpi_text() {
  try {
    return mpi_version({});
  } catch (const CommError&) {
    return "none (needed for more than one rank)";
  }
}

}  // namespace

std::string own_version() {
  return fmt::format("{} (commit {})", TRIGA_VERSION, TRIGA_COMMIT);
}

std::string version_text() {
  return fmt::format("triga {}\nLibTorch {}\nMPI {}\nplugin ABI {}", own_version(), TORCH_VERSION,
                     mpi_text(), TRIGA_ABI_NUMBER);
}

}  // namespace triga
