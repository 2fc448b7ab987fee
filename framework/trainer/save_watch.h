// SaveWatch: says when a save lasts longer than anything in a run should, again after each doubling.
// A thread that waits for a disk that does not answer fails nothing and says nothing, and without
// this a run could go on for days with no new checkpoint.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace triga {

/// Who the others wait for, in words; "": nobody. `num_done`: how many of the ranks have done their
/// part, `sum_of_ranks`: their numbers added up, which tells the only one that has not.
std::string who_has_not_saved(double num_done, double sum_of_ranks, int num_ranks);

/// One thread calls it; it says things in a thread of its own, since the caller may be what hangs.
class SaveWatch {
 public:
  using Say = std::function<void(const std::string& warning)>;

  SaveWatch(std::chrono::milliseconds patience, Say say);
  ~SaveWatch();
  SaveWatch(const SaveWatch&) = delete;
  SaveWatch& operator=(const SaveWatch&) = delete;

  /// The save of a step begins; what was watched before is over.
  void begin(int64_t step);
  /// Of the save that is under way: who_has_not_saved() at the last step.
  void heard(std::string who_has_not);
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  struct Save {
    int64_t step;
    Clock::time_point began_at;
    Clock::duration next;  // age at which it is said next
    std::string who_has_not;
  };
  void run();

  const std::chrono::milliseconds patience_;
  const Say say_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Save> save_;
  bool is_stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace triga
