#include "trainer/stragglers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace triga {
namespace {

constexpr size_t kNumParts = 4;
constexpr std::array<const char*, kNumParts> kParts = {"data", "forward and backward", "update",
                                                       "saving"};

/// What a rank did in a window: seconds a step by part, with as many microbatches as it has.
struct Pace {
  const RankRecord* record = nullptr;
  double microbatches = 1;  // a step
  std::array<double, kNumParts> seconds{};

  double total() const {
    double sum = 0;
    for (const double part : seconds) sum += part;
    return sum;
  }
};

std::optional<Pace> pace_of(const RankRecord& record, const OwnWork& before) {
  const OwnWork& now = record.work;
  const auto steps = static_cast<double>(now.num_steps - before.num_steps);
  const auto microbatches = static_cast<double>(now.num_microbatches - before.num_microbatches);
  if (steps <= 0 || microbatches <= 0) return std::nullopt;  // none done, or another start
  return Pace{&record,
              microbatches / steps,
              {(now.data_seconds - before.data_seconds) / steps,
               (now.compute_seconds - before.compute_seconds) / steps,
               (now.update_seconds - before.update_seconds) / steps,
               (now.save_seconds - before.save_seconds) / steps}};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// The median of the others with the same part of the model, for as many microbatches.
std::optional<Pace> usual_for(const Pace& one, const std::vector<Pace>& all) {
  std::array<std::vector<double>, kNumParts> seconds;
  for (const Pace& other : all) {
    if (&other == &one || other.record->stage_rank != one.record->stage_rank) continue;
    for (size_t part = 0; part < kNumParts; ++part) {
      const bool is_by_microbatch = part < 2;  // data, forward and backward
      seconds[part].push_back(other.seconds[part] *
                              (is_by_microbatch ? one.microbatches / other.microbatches : 1));
    }
  }
  if (seconds[0].empty()) return std::nullopt;
  Pace usual;
  for (size_t part = 0; part < kNumParts; ++part) usual.seconds[part] = median(seconds[part]);
  return usual;
}

}  // namespace

std::vector<std::string> Stragglers::look(const std::vector<RankRecord>& records,
                                          Clock::time_point now) {
  looked_at_ = now;
  std::vector<Pace> paces;
  for (const RankRecord& record : records) {
    Known& known = known_[record.rank];
    if (const auto pace = pace_of(record, known.work)) paces.push_back(*pace);
    known.work = record.work;
  }
  std::vector<std::string> lines;
  for (const Pace& pace : paces) {
    Known& known = known_[pace.record->rank];
    const auto usual = usual_for(pace, paces);
    const bool is_slow =
        usual && pace.total() - usual->total() > options_.least_excess * usual->total();
    known.num_slow = is_slow ? known.num_slow + 1 : 0;
    if (known.num_slow < options_.num_windows) continue;
    if (known.said_at && now - *known.said_at < options_.quiet) continue;
    known.said_at = now;
    size_t worst = 0;
    for (size_t part = 1; part < kNumParts; ++part)
      if (pace.seconds[part] - usual->seconds[part] > pace.seconds[worst] - usual->seconds[worst])
        worst = part;
    lines.push_back(fmt::format(
        "rank {} on host {} is slower than the others: its own work takes {:.3g} s a step, theirs "
        "{:.3g} s (median); most of the difference is in {} ({:.3g} s against {:.3g} s)",
        pace.record->rank, pace.record->host, pace.total(), usual->total(), kParts[worst],
        pace.seconds[worst], usual->seconds[worst]));
  }
  return lines;
}

}  // namespace triga
