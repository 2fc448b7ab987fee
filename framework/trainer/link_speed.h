// How fast ranks reduce together, inside hosts and between them, measured for a moment at the start
// of a run, and held against what the network should give.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "comm/communicator.h"

namespace triga {

/// Bytes a second of this host's fastest network card that has a link (/sys/class/net, InfiniBand);
/// 0: not known, as in many virtual machines. `root`: of the file system, for tests.
double network_bytes_per_second(const std::filesystem::path& root = "/");

struct StartSpeeds {
  double in_host = 0;        // bytes of a tensor a second, of the slowest host; 0: one rank a host
  std::string slowest_host;  // for in_host
  double between_hosts = 0;  // 0: there is one host
  double network = 0;        // of the slowest card of all hosts; 0: some host does not know
  int num_hosts = 1;
};

/// Reduces growing tensors, of up to 16 MiB, as long as that takes a fraction of a second. `network`:
/// of this host. The same on all ranks. Collective.
StartSpeeds measure_start_speeds(Communicator& world, double network);

/// "all-reduce: 5.1 GB/s inside hosts (slowest: a), 1.1 GB/s between 2 hosts (network card: 1.3
/// GB/s)".
std::string describe(const StartSpeeds& speeds);

/// A sentence where hosts exchange far less than their network cards can, or, where those do not
/// say, than a gigabit network does; "": fast enough. `on_gpus`: over NCCL, which can fill any card;
/// else over MPI from the memory of processes, which 100 Gbit/s and more outrun.
std::string speed_warning(const StartSpeeds& speeds, bool on_gpus);

/// A sentence where ranks of a host exchange far less than its memory, or the bus between its GPUs,
/// can; "": fast enough, or one rank a host.
std::string speed_warning_in_host(const StartSpeeds& speeds, bool on_gpus);

}  // namespace triga
