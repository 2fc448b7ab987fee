// triga doctor: cores, memory, /dev/shm: what this host lets processes have.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/control_group.h"
#include "base/in_words.h"
#include "launchers/doctor.h"
#include "trainer/link_speed.h"

namespace triga {
namespace {

constexpr double kGigabyte = 1e9, kMegabyte = 1e6;

/// What others may take of /dev/shm. NCCL: segments of 10 MB, at least two (channels) from each GPU
/// to each other; Open MPI 4: 4 MB for messages to each rank.
constexpr double kOfGpuPair = 20 * kMegabyte, kOfRank = 4.2 * kMegabyte;

/// Bytes of a line "MemAvailable:  1234 kB".
double memory_line(const std::string& name) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(name + ":"))
      return std::strtod(line.c_str() + name.size() + 1, nullptr) * 1024;
  return 0;
}

double number_in(const std::string& path) {
  std::ifstream file(path);
  double number = 0;
  return file >> number ? number : INFINITY;  // "max"
}

/// Of the control groups that this process is in, the smallest.
struct GroupMemory {
  double limit = INFINITY, free = INFINITY;
};
GroupMemory group_memory() {
  GroupMemory memory;
  const ControlGroups groups = control_groups("memory");
  const auto look = [&memory](const std::string& limit_file, const std::string& use_file) {
    const double limit = number_in(limit_file), used = number_in(use_file);
    if (limit > 1e18) return;  // none, which version 1 writes as a number
    memory.limit = std::min(memory.limit, limit);
    if (!std::isinf(used)) memory.free = std::min(memory.free, std::max(0.0, limit - used));
  };
  for (const std::string& folder : groups.version2)
    look(folder + "memory.max", folder + "memory.current");
  for (const std::string& folder : groups.version1)
    look(folder + "memory.limit_in_bytes", folder + "memory.usage_in_bytes");
  return memory;
}

}  // namespace

Findings judge_cores(const CoreCounts& cores, const std::optional<std::string>& omp_num_threads,
                     int ranks_here) {
  Findings findings;
  const int threads = num_threads(cores, ranks_here);
  std::string text = fmt::format("{} core{}", cores.of_all, cores.of_all == 1 ? "" : "s");
  if (cores.mine < cores.of_all) text += fmt::format(", {} of them this process's", cores.mine);
  if (!std::isinf(cores.quota))
    text += fmt::format(", a limit of {:.1f} (control group)", cores.quota);
  text += fmt::format("; {} thread{} for each of {} rank{}", threads, threads == 1 ? "" : "s",
                      ranks_here, ranks_here == 1 ? "" : "s");
  const double usable = std::min<double>(cores.of_all, cores.quota);
  if (ranks_here > usable)
    findings.push_back(warning("cores", text + ": ranks share cores and wait for each other",
                               "fewer ranks on this host (-n, launch.ranks_per_node), or more "
                               "cores (launch.cpus_per_rank)"));
  else
    findings.push_back(ok("cores", text));
  if (omp_num_threads && std::atoi(omp_num_threads->c_str()) != threads)
    findings.push_back(
        ok("cores", fmt::format("OMP_NUM_THREADS={} is not followed: each rank "
                                "takes its share of the cores that it may use, or what "
                                "parallel.threads says",
                                *omp_num_threads)));
  return findings;
}

Finding judge_memory(double total, double available, double limit) {
  std::string text =
      fmt::format("{}, {} of it free", bytes_in_words(total), bytes_in_words(available));
  if (limit > 0 && limit < total)
    text += fmt::format("; a limit of {} (control group) holds for all ranks here together",
                        bytes_in_words(limit));
  const double usable = limit > 0 ? std::min(limit, available) : available;
  if (usable < kGigabyte)
    return warning("memory", text,
                   "ask for more memory (launch.memory); triga plan says what a rank needs");
  return ok("memory", text);
}

Finding judge_shared_memory(double size, double free, int ranks_here, int num_gpus) {
  constexpr const char* kTopic = "shared memory";
  const bool is_there = size > 0;
  const std::string text = is_there ? fmt::format("/dev/shm: {}, {} of it free",
                                                  bytes_in_words(size), bytes_in_words(free))
                                    : "there is no /dev/shm";
  const double for_nccl = num_gpus * (num_gpus - 1) * kOfGpuPair, for_mpi = ranks_here * kOfRank;
  const double enough = std::max(1.0, std::ceil(2 * std::max(for_nccl, for_mpi) / (1 << 30)));
  const std::string larger =
      is_there ? fmt::format(
                     "a larger one (docker run --shm-size={0}g; mount -o remount,size={0}g "
                     "/dev/shm), and remove what dead programs left there",
                     enough)
               : "mount a tmpfs there";
  if (num_gpus > 1 && free < for_nccl)
    return warning(
        kTopic,
        fmt::format("{}; NCCL may want {} for {} GPUs that exchange through it, and fails without "
                    "(\"Error while creating shared memory segment\", with NCCL_DEBUG=WARN)",
                    text, bytes_in_words(for_nccl), num_gpus),
        larger + "; without it, slower: NCCL_SHM_DISABLE=1");
  if (is_there && ranks_here > 1 && free < for_mpi)  // with none Open MPI takes its folder in /tmp
    return warning(kTopic,
                   fmt::format("{}; Open MPI may want {} for messages of {} ranks, and without it "
                               "(\"there is not enough space\") they are slower, or the run ends",
                               text, bytes_in_words(for_mpi), ranks_here),
                   larger);
  return ok(kTopic, is_there ? text : text + ", and nothing here needs one");
}

Finding judge_network(double card, bool has_infiniband, double lockable) {
  const std::string text = fmt::format(
      "{}InfiniBand; the fastest card's speed {}", has_infiniband ? "" : "no ",
      card > 0 ? fmt::format("is {}/s", bytes_in_words(card)) : std::string("is not known"));
  if (has_infiniband && lockable >= 0 && lockable < kGigabyte)
    return warning(
        "network",
        fmt::format("{}; a process may lock only {} of memory", text, bytes_in_words(lockable)),
        "ulimit -l unlimited on the hosts (Slurm: PropagateResourceLimitsExcept=MEMLOCK)");
  return ok("network", text);
}

Findings look_at_host(const Wishes& wishes, int num_gpus) {
  const int ranks_here = std::max(1, (wishes.num_ranks + wishes.num_hosts - 1) / wishes.num_hosts);
  Findings findings = judge_cores(count_cores(environment_variable),
                                  environment_variable("OMP_NUM_THREADS"), ranks_here);
  const GroupMemory group = group_memory();
  findings.push_back(judge_memory(memory_line("MemTotal"),
                                  std::min(memory_line("MemAvailable"), group.free),
                                  std::isinf(group.limit) ? 0 : group.limit));
  struct statvfs shm = {};
  const bool is_there = ::statvfs("/dev/shm", &shm) == 0;
  const auto unit = static_cast<double>(shm.f_frsize);
  const int gpus_together = wishes.device == "cpu" ? 0
                            : wishes.num_ranks > 1 ? std::min(ranks_here, num_gpus)
                                                   : num_gpus;
  findings.push_back(judge_shared_memory(is_there ? unit * static_cast<double>(shm.f_blocks) : 0,
                                         is_there ? unit * static_cast<double>(shm.f_bavail) : 0,
                                         ranks_here, gpus_together));
  rlimit locked = {};
  ::getrlimit(RLIMIT_MEMLOCK, &locked);
  std::error_code error;
  const bool has_infiniband = std::filesystem::exists("/sys/class/infiniband", error) &&
                              !std::filesystem::is_empty("/sys/class/infiniband", error);
  findings.push_back(
      judge_network(network_bytes_per_second(), has_infiniband,
                    locked.rlim_cur == RLIM_INFINITY ? -1 : static_cast<double>(locked.rlim_cur)));
  return findings;
}

}  // namespace triga
