// OomKills: whether the kernel ended processes for lack of memory lately. A process that it ends
// says nothing; its neighbours can, from counters that every user may read: those of the control
// groups that hold this process (its container, its job), and the host's.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace triga {

/// Thread-safe.
class OomKills {
 public:
  using Clock = std::chrono::steady_clock;
  /// A process with much memory takes a while to end once it was told to.
  static constexpr std::chrono::seconds kLately{10};
  /// All end that cannot do without it; else it was none that matters.
  static constexpr std::chrono::seconds kAfterADeath{90};

  /// `root`: of the file system, for tests.
  explicit OomKills(std::string root = "");

  /// Called again and again, it keeps "lately" short: since kLately, or a little longer. A run
  /// lives for weeks, and what was killed days ago explains nothing.
  void sample(Clock::time_point now = Clock::now());
  /// The same for who watches over processes, of which `num_living` live. For kAfterADeath after one
  /// has ended nothing is sampled: "lately" is what came before it, however long others take.
  void sample_beside(size_t num_living, Clock::time_point now = Clock::now());

  struct Killer {
    std::string name;      // "the out-of-memory killer of control group /job (limit 2.0 GB)"
    bool is_ours = false;  // of a group with a limit: it ended one of those with which we share it
    bool operator==(const Killer&) const = default;
  };
  /// Who ended a process lately (without samples: since this was made). Nothing: none that is known
  /// of. One that is not ours may have ended a process of somebody else.
  std::optional<Killer> lately() const;

 private:
  struct Counts {
    std::map<std::string, int64_t> of_groups;  // by folder
    int64_t of_host = 0;
  };
  struct Sample {
    Clock::time_point taken;
    Counts counts;
  };
  Counts count() const;

  const std::string root_;
  mutable std::mutex mutex_;
  std::deque<Sample> samples_;  // the first one is what is compared with; never empty
  size_t num_living_ = 0;
  std::optional<Clock::time_point> last_death_;
};

}  // namespace triga
