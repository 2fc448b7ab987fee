#include "trainer/spikes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace triga {
namespace {

double mean_of(const std::vector<double>& losses) {
  double mean = 0;
  for (const double value : losses) mean += value / static_cast<double>(losses.size());
  return mean;
}

}  // namespace

double z_score(double loss, const std::vector<double>& losses) {
  const auto count = static_cast<double>(losses.size());
  const double mean = mean_of(losses);
  double variance = 0;
  for (const double value : losses) variance += (value - mean) * (value - mean) / count;
  return (loss - mean) / std::max(std::sqrt(variance), 1e-6 * std::abs(mean) + 1e-12);
}

bool is_too_short(int64_t size, int64_t usual_size) {
  return 2 * size < usual_size;
}

std::string spike_in_words(double loss, const SpikesConfig& config, const TrainingState& state) {
  if (static_cast<int64_t>(state.losses.size()) < config.window) return "";
  const double score = z_score(loss, state.losses);
  if (score <= config.z_score) return "";
  const double mean = mean_of(state.losses);
  if (loss - mean < kLeastRise * std::abs(mean)) return "";
  return fmt::format(
      "the loss {:.4f} is a spike, {:.1f} standard deviations above the mean of the {} before it",
      loss, score, config.window);
}

void remember_loss(double loss, const SpikesConfig& config, TrainingState& state) {
  state.losses.push_back(loss);
  const auto window = static_cast<size_t>(config.window);
  if (state.losses.size() > window)
    state.losses.erase(state.losses.begin(), state.losses.end() - static_cast<ptrdiff_t>(window));
  ++state.good_steps;
}

bool may_go_back(const SpikesConfig& config, const TrainingState& state) {
  return state.rollbacks - state.settled_rollbacks < config.max_rollbacks;
}

void settle_rollbacks(const SpikesConfig& config, TrainingState& state) {
  if (state.spikes_in_a_row == 0 && state.good_steps >= config.window)
    state.settled_rollbacks = state.rollbacks;
}

}  // namespace triga
