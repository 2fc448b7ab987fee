#include "trainer/silent_ranks.h"

#include <algorithm>

#include "comm/host_leaders.h"

namespace triga {

using std::chrono::milliseconds;

std::vector<int> SilentRanks::to_look_at(const Communicator& world) {
  std::vector<int> leaders = host_leaders(world);
  if (world.rank() == 0) {
    leaders.erase(leaders.begin());  // itself
    return leaders;
  }
  const bool is_leader = std::find(leaders.begin(), leaders.end(), world.rank()) != leaders.end();
  return is_leader ? std::vector<int>{0} : std::vector<int>{};
}

SilentRanks::SilentRanks(const std::vector<int>& ranks, milliseconds pause) : pause_(pause) {
  for (const int rank : ranks) silences_.push_back({rank});
}

void SilentRanks::look(const WrittenAt& written_at, Clock::time_point now) {
  if (looked_at_ && now - *looked_at_ < pause_) return;
  const auto passed =
      looked_at_ ? std::min<Clock::duration>(now - *looked_at_, 2 * pause_) : Clock::duration(0);
  looked_at_ = now;
  for (Silence& one : silences_) {
    const std::optional<double> written = written_at(one.rank);
    if (!written || *written != one.written_at) {
      one.duration = milliseconds(0);
      one.num_signs += written ? 1 : 0;
      one.written_at = written.value_or(0);
    } else if (one.num_signs > 1) {  // a first one may be what an earlier time left
      one.duration += std::chrono::duration_cast<milliseconds>(passed);
    }
  }
}

}  // namespace triga
