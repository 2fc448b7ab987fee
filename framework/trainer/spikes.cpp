#include "trainer/spikes.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace triga {

double z_score(double loss, const std::vector<double>& losses) {
  const auto count = static_cast<double>(losses.size());
  double mean = 0, variance = 0;
  for (const double value : losses) mean += value / count;
  for (const double value : losses) variance += (value - mean) * (value - mean) / count;
  return (loss - mean) / std::max(std::sqrt(variance), 1e-6 * std::abs(mean) + 1e-12);
}

std::string spike_in_words(double loss, const SpikesConfig& config, const TrainingState& state) {
  if (static_cast<int64_t>(state.losses.size()) < config.window) return "";
  const double score = z_score(loss, state.losses);
  if (score <= config.z_score) return "";
  return fmt::format(
      "the loss {:.4f} is a spike, {:.1f} standard deviations above the mean of the {} before it",
      loss, score, config.window);
}

void remember_loss(double loss, const SpikesConfig& config, TrainingState& state) {
  state.losses.push_back(loss);
  const auto window = static_cast<size_t>(config.window);
  if (state.losses.size() > window)
    state.losses.erase(state.losses.begin(), state.losses.end() - static_cast<ptrdiff_t>(window));
}

}  // namespace triga
