// Opens communication over MPI. libtriga_mpi.so, and with it MPI, is loaded here and nowhere else,
// so that a run of one rank needs no MPI installed. Whether a launcher started this process is for
// launchers/ to find out.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/fabric.h"

namespace triga {

struct MpiOptions {
  std::filesystem::path library;  // libtriga_mpi.so; empty: the one beside libtriga.so
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  bool share_memory = true;  // false: ranks of a host go over MPI's messages, as those of two hosts
  /// Some rank did not come within the deadline, or a minute if that is longer (start_watch.h). Ends
  /// the process. Empty: it is waited for without an end.
  std::function<void(const std::string& problem)> on_late = nullptr;
};

/// The world of a process that mpirun or srun started. Calls MPI_Init_thread, once a process. Ranks
/// of one host watch each other from here on. Throws: CommError. Collective.
std::unique_ptr<Communicator> open_mpi_world(const MpiOptions& options);

/// The steps of the above, between which a test puts a fabric of its own.
std::shared_ptr<Fabric> open_mpi_fabric(const MpiOptions& options);
std::unique_ptr<Communicator> make_watched_world(std::shared_ptr<Fabric> fabric,
                                                 const MpiOptions& options);

/// What MPI says of itself: "Open MPI v4.1.4". Throws: CommError when the library or MPI itself is
/// missing.
std::string mpi_version(const MpiOptions& options);

}  // namespace triga
