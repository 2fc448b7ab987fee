#include "base/oom_kills.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "base/control_group.h"

namespace triga {
namespace {

/// The number behind `name` in a file of lines "name number"; nothing: it is not there.
std::optional<int64_t> number_of(const std::string& file, const std::string& name) {
  std::ifstream lines(file);
  std::string word;
  for (int64_t number = 0; lines >> word >> number;)
    if (word == name) return number;
  return std::nullopt;
}

/// In words, of a group's folder; empty: it has no limit.
std::string limit_of(const std::string& folder) {
  constexpr double kNoLimit = 1e18;  // version 1 says a number near 2^63 for none
  for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
    double bytes = 0;
    if (std::ifstream(folder + name) >> bytes && bytes < kNoLimit)  // "max" is no number
      return fmt::format("{:.1f} MB", bytes / (1 << 20));
  }
  return "";
}

}  // namespace

OomKills::OomKills(std::string root) : root_(std::move(root)) {
  samples_.push_back({Clock::now(), count()});
}

void OomKills::sample(Clock::time_point now) {
  Counts counts = count();
  const std::lock_guard lock(mutex_);
  samples_.push_back({now, std::move(counts)});
  while (samples_[1].taken <= now - kLately) samples_.pop_front();  // the last one is of now
}

void OomKills::sample_beside(size_t num_living, Clock::time_point now) {
  {
    const std::lock_guard lock(mutex_);
    if (num_living < num_living_) last_death_ = now;
    num_living_ = num_living;
    if (last_death_ && now - *last_death_ < kAfterADeath) return;
  }
  sample(now);
}

OomKills::Counts OomKills::count() const {
  Counts counts;
  const ControlGroups groups = control_groups("memory", root_);
  for (const std::string& folder : groups.version2)
    if (const auto kills = number_of(folder + "memory.events", "oom_kill"))
      counts.of_groups[folder] = *kills;
  for (const std::string& folder : groups.version1)
    if (const auto kills = number_of(folder + "memory.oom_control", "oom_kill"))
      counts.of_groups[folder] = *kills;
  counts.of_host = number_of(root_ + "/proc/vmstat", "oom_kill").value_or(0);
  return counts;
}

std::optional<OomKills::Killer> OomKills::lately() const {
  const Counts now = count();
  const std::lock_guard lock(mutex_);
  const Counts& earlier = samples_.front().counts;
  // A kill counts in a group and in those around it; the smallest that has a limit did it.
  std::string found, limit;
  for (const auto& [folder, kills] : now.of_groups) {
    const auto before = earlier.of_groups.find(folder);
    if (before == earlier.of_groups.end() || kills <= before->second) continue;
    const std::string its_limit = limit_of(folder);
    const bool is_better =
        found.empty() ||
        (its_limit.empty() == limit.empty() ? folder.size() > found.size() : limit.empty());
    if (!is_better) continue;
    found = folder;
    limit = its_limit;
  }
  if (!found.empty()) {
    const std::string mount = root_ + "/sys/fs/cgroup";
    std::string name = found.substr(mount.size(), found.size() - mount.size() - 1);
    if (name.empty()) name = "/";
    return Killer{fmt::format("the out-of-memory killer of control group {}{}", name,
                              limit.empty() ? "" : fmt::format(" (limit {})", limit)),
                  !limit.empty()};
  }
  if (now.of_host > earlier.of_host)
    return Killer{
        "the out-of-memory killer of this host, which has too little memory for all that runs",
        false};
  return std::nullopt;
}

}  // namespace triga
