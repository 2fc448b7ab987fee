#include "parallel/planning/partition.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "triga/error.h"

namespace triga {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// What a stage [begin, end) costs; infinite: it cannot be.
using Cost = std::function<double(size_t stage, size_t begin, size_t end)>;

struct Cut {
  double worst = kNever;  // of its stages
  std::vector<size_t> bounds;
};

/// The cut whose worst stage costs least: best[k][j] over cuts of layers [0, j) into k stages.
Cut least_worst(size_t num_layers, size_t num_stages, const Cost& cost) {
  std::vector<std::vector<double>> best(num_stages + 1,
                                        std::vector<double>(num_layers + 1, kNever));
  std::vector<std::vector<size_t>> begin_of_last(num_stages + 1,
                                                 std::vector<size_t>(num_layers + 1, 0));
  best[0][0] = 0;
  for (size_t k = 1; k <= num_stages; ++k)
    for (size_t end = k; end <= num_layers; ++end)
      for (size_t begin = k - 1; begin < end; ++begin) {
        if (best[k - 1][begin] == kNever) continue;
        const double worst = std::max(best[k - 1][begin], cost(k - 1, begin, end));
        if (worst >= best[k][end]) continue;
        best[k][end] = worst;
        begin_of_last[k][end] = begin;
      }
  Cut cut;
  cut.worst = best[num_stages][num_layers];
  if (cut.worst == kNever) return cut;
  cut.bounds.assign(num_stages + 1, num_layers);
  for (size_t k = num_stages; k > 0; --k) cut.bounds[k - 1] = begin_of_last[k][cut.bounds[k]];
  return cut;
}

}  // namespace

std::vector<size_t> balanced_bounds(const PartitionQuestion& question) {
  const size_t num_layers = question.seconds.size();
  TRIGA_CHECK(question.num_stages >= 1 && num_layers >= question.num_stages, num_layers,
              " layers in ", question.num_stages, " stages");
  std::vector<double> before(num_layers + 1, 0);  // [layer] seconds of those before it
  std::partial_sum(question.seconds.begin(), question.seconds.end(), before.begin() + 1);
  const Cost seconds = [&](size_t, size_t begin, size_t end) {
    return before[end] - before[begin];
  };
  if (!question.bytes) return least_worst(num_layers, question.num_stages, seconds).bounds;

  const Cost bytes = [&](size_t stage, size_t begin, size_t end) {
    return static_cast<double>(question.bytes(stage, begin, end));
  };
  const Cost seconds_if_it_fits = [&](size_t stage, size_t begin, size_t end) {
    const bool fits = question.most_bytes == 0 ||
                      bytes(stage, begin, end) <= static_cast<double>(question.most_bytes);
    return fits ? seconds(stage, begin, end) : kNever;
  };
  const Cut fastest = least_worst(num_layers, question.num_stages, seconds_if_it_fits);
  if (fastest.bounds.empty()) return least_worst(num_layers, question.num_stages, bytes).bounds;
  const double longest = fastest.worst * (1 + question.slack);
  const Cost bytes_if_fast = [&](size_t stage, size_t begin, size_t end) {
    return seconds(stage, begin, end) <= longest ? bytes(stage, begin, end) : kNever;
  };
  return least_worst(num_layers, question.num_stages, bytes_if_fast).bounds;
}

}  // namespace triga
