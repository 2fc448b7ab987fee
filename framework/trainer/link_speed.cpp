#include "trainer/link_speed.h"

#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "base/in_words.h"
#include "comm/host_leaders.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSmallest = 256 << 10, kLargest = 16 << 20, kGrowth = 4;
constexpr int kRepetitions = 2;
constexpr double kLongest = 0.1;  // seconds of one reduction, after which none is larger

constexpr double kFarBelow = 0.25;         // of the speed of the card
constexpr double kSlowestNetwork = 125e6;  // bytes a second: 1 Gbit/s, where cards say nothing
constexpr double kMostOverMpi = 1e9;  // bytes a second that one process can be expected to exchange
// Of an all-reduce inside a host, in bytes of the tensor a second. GPUs on PCIe 3.0 without
// peer-to-peer copies reach several GB/s, those that go over sockets one. Memory gives several too,
// to as many ranks as there are cores.
constexpr double kSlowestBetweenGpus = 2e9;
constexpr double kSlowestInMemory = 0.1e9;

double first_number_in(const fs::path& path) {
  std::ifstream file(path);
  double number = 0;
  return file >> number ? number : 0;
}

std::string first_word_in(const fs::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error))
    entries.push_back(it->path());
  return entries;
}

/// Seconds of the fastest of several, as the slowest rank of the group sees it.
double seconds_of_reduction(Communicator& group, const at::Tensor& tensor, int repetitions) {
  double best = 1e9;
  for (int i = 0; i < repetitions; ++i) {
    group.barrier("start speed");
    const auto start = std::chrono::steady_clock::now();
    group.all_reduce(tensor, ReduceOp::kSum, "start speed").synchronize();
    best = std::min(
        best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  group.all_reduce_values({&best, 1}, ReduceOp::kMax, "start speed");
  return best;
}

/// Bytes a second of the size that goes fastest; 0: a group of one.
double measure(Communicator& group) {
  if (group.size() == 1) return 0;
  const int64_t numel = kLargest / int64_t{sizeof(float)};
  const at::Tensor buffer =
      group.device().is_cpu()
          ? group.allocate(numel, at::kFloat)
          : at::zeros({numel}, at::TensorOptions().dtype(at::kFloat).device(group.device()));
  double best = 0;
  for (int64_t bytes = kSmallest; bytes <= kLargest; bytes *= kGrowth) {
    const at::Tensor part = buffer.narrow(0, 0, bytes / int64_t{sizeof(float)});
    double seconds = seconds_of_reduction(group, part, 1);
    const bool is_slow = seconds > kLongest;  // all ranks of the group know the same time
    if (!is_slow) seconds = std::min(seconds, seconds_of_reduction(group, part, kRepetitions));
    best = std::max(best, static_cast<double>(bytes) / seconds);
    if (is_slow) break;
  }
  return best;
}

std::string in_words(double bytes_per_second) {
  return bytes_in_words(bytes_per_second) + "/s";
}

}  // namespace

double network_bytes_per_second(const fs::path& root) {
  double fastest = 0;  // Mbit/s
  for (const fs::path& card : entries_of(root / "sys/class/net")) {
    // Bridges, tunnels and pairs of containers have no device, and name some speed.
    std::error_code error;
    if (!fs::exists(card / "device", error) || first_word_in(card / "operstate") != "up") continue;
    fastest = std::max(fastest, first_number_in(card / "speed"));  // -1: not known
  }
  for (const fs::path& card : entries_of(root / "sys/class/infiniband"))
    for (const fs::path& port : entries_of(card / "ports"))
      if (first_word_in(port / "state") == "4:")  // ACTIVE
        fastest =
            std::max(fastest, 1000 * first_number_in(port / "rate"));  // "200 Gb/sec (4X HDR)"
  return fastest * 1e6 / 8;
}

StartSpeeds measure_start_speeds(Communicator& world, double network) {
  const std::vector<int> leaders = host_leaders(world);
  const std::string& host = world.host(world.rank());
  const int my_host = static_cast<int>(
      std::find_if(leaders.begin(), leaders.end(), [&](int r) { return world.host(r) == host; }) -
      leaders.begin());
  const bool is_leader = leaders[static_cast<size_t>(my_host)] == world.rank();
  StartSpeeds speeds;
  speeds.num_hosts = static_cast<int>(leaders.size());
  // Memory of a group goes with it.
  const double in_host = measure(*world.split(my_host, "ranks of a host"));
  double between = 0;
  if (leaders.size() > 1) {
    const auto group = world.split(is_leader ? 0 : 1, "one rank a host");
    if (is_leader) between = measure(*group);
  }
  std::vector<double> of_hosts(leaders.size(), 0), cards(leaders.size(), 0);
  if (is_leader) {
    of_hosts[static_cast<size_t>(my_host)] = in_host;
    cards[static_cast<size_t>(my_host)] = network;
  }
  world.all_reduce_values(of_hosts, ReduceOp::kSum, "start speeds");
  world.all_reduce_values(cards, ReduceOp::kSum, "network cards");
  world.all_reduce_values({&between, 1}, ReduceOp::kMax, "start speeds");
  for (size_t i = 0; i < of_hosts.size(); ++i)
    if (of_hosts[i] > 0 && (speeds.in_host == 0 || of_hosts[i] < speeds.in_host)) {
      speeds.in_host = of_hosts[i];
      speeds.slowest_host = world.host(leaders[i]);
    }
  speeds.between_hosts = between;
  speeds.network = *std::min_element(cards.begin(), cards.end());
  return speeds;
}

std::string describe(const StartSpeeds& speeds) {
  std::string text = "all-reduce:";
  if (speeds.in_host > 0)
    text += fmt::format(" {} inside {}", in_words(speeds.in_host),
                        speeds.num_hosts == 1
                            ? "the host"
                            : fmt::format("hosts (slowest: {})", speeds.slowest_host));
  if (speeds.between_hosts > 0)
    text += fmt::format(
        "{} {} between {} hosts{}", speeds.in_host > 0 ? "," : "", in_words(speeds.between_hosts),
        speeds.num_hosts,
        speeds.network > 0 ? fmt::format(" (network card: {})", in_words(speeds.network)) : "");
  return text;
}

std::string speed_warning_in_host(const StartSpeeds& speeds, bool on_gpus) {
  const double slowest = on_gpus ? kSlowestBetweenGpus : kSlowestInMemory;
  if (speeds.in_host <= 0 || speeds.in_host >= slowest) return "";
  return fmt::format(
      "ranks of host {} reduce {} together, where {}: {}", speeds.slowest_host,
      in_words(speeds.in_host),
      on_gpus ? "GPUs on PCIe without NVLink do several GB/s" : "memory gives several GB/s",
      on_gpus ? "do they see each other (nvidia-smi topo -m), and is NCCL_P2P_DISABLE or "
                "NCCL_SHM_DISABLE set? NCCL_DEBUG=INFO shows the way that NCCL takes"
              : "have they a core each, and does something else compute there?");
}

std::string speed_warning(const StartSpeeds& speeds, bool on_gpus) {
  if (speeds.between_hosts <= 0) return "";
  const bool is_known = speeds.network > 0;
  const double cards = is_known ? speeds.network : kSlowestNetwork;
  const double expected = on_gpus ? cards : std::min(cards, kMostOverMpi);
  // In a reduction of n each sends and receives 2 (n - 1) / n of the tensor.
  const double n = speeds.num_hosts;
  const double moved = speeds.between_hosts * 2 * (n - 1) / n;
  if (moved >= kFarBelow * expected) return "";
  return fmt::format(
      "hosts exchange {} where {} {}: is another network in use? {} chooses it (docs/clusters.md, "
      "Networks and NCCL)",
      in_words(moved), is_known ? "their network cards can" : "the slowest networks of clusters do",
      in_words(cards),
      on_gpus ? "NCCL_SOCKET_IFNAME or NCCL_IB_HCA"
              : "OMPI_MCA_btl_tcp_if_include or UCX_NET_DEVICES");
}

}  // namespace triga
