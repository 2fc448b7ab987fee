#include "common/token_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "triga/error.h"

namespace triga::common {
namespace {

constexpr double kExcluded = -std::numeric_limits<double>::infinity();

/// fp64 on the CPU. Throws: Error for values that no choice can be made from.
std::vector<double> read_logits(const at::Tensor& logits) {
  const auto cpu = logits.to(at::kCPU, at::kDouble).contiguous();
  const auto* data = cpu.const_data_ptr<double>();
  std::vector<double> values(data, data + cpu.numel());
  for (size_t i = 0; i < values.size(); ++i)
    if (std::isnan(values[i]) || values[i] == std::numeric_limits<double>::infinity())
      throw Error(c10::str("the model's logit of token ", i, " is ", values[i],
                           ": its weights are not usable"));
  return values;
}

void keep_top_k(std::vector<double>& logits, int64_t k) {
  if (k >= static_cast<int64_t>(logits.size())) return;
  auto sorted = logits;
  std::nth_element(sorted.begin(), sorted.begin() + (k - 1), sorted.end(), std::greater<>());
  const double smallest_kept = sorted[static_cast<size_t>(k - 1)];
  for (auto& logit : logits)
    if (logit < smallest_kept) logit = kExcluded;
}

/// exp(logit) / sum, in place.
void softmax(std::vector<double>& logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (auto& logit : logits) sum += logit = std::exp(logit - largest);
  for (auto& logit : logits) logit /= sum;
}

/// A token goes when those at most as likely as it, itself included, add up to no more than 1 - p.
void keep_top_p(std::vector<double>& probabilities, double p) {
  std::vector<size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return probabilities[a] < probabilities[b]; });
  double tail = 0, kept = 1;
  for (size_t i = 0; i + 1 < order.size(); ++i) {  // the most likely one always stays
    tail += probabilities[order[i]];
    if (tail > 1 - p) break;
    kept -= probabilities[order[i]];
    probabilities[order[i]] = 0;
  }
  for (auto& probability : probabilities) probability /= kept;
}

}  // namespace

std::vector<double> token_probabilities(const at::Tensor& logits, const TokenChoice& choice) {
  TRIGA_CHECK(choice.temperature > 0, "temperature ", choice.temperature);
  auto values = read_logits(logits);
  for (auto& value : values) value /= choice.temperature;
  if (choice.top_k) keep_top_k(values, *choice.top_k);
  softmax(values);
  if (choice.top_p && *choice.top_p < 1) keep_top_p(values, *choice.top_p);
  return values;
}

int64_t choose_token(const at::Tensor& logits, const TokenChoice& choice, RandomStream& random) {
  if (choice.temperature == 0) {
    const auto values = read_logits(logits);
    return std::max_element(values.begin(), values.end()) - values.begin();
  }
  const auto probabilities = token_probabilities(logits, choice);
  double left = random.uniform();
  int64_t last_possible = 0;
  for (size_t token = 0; token < probabilities.size(); ++token) {
    if (probabilities[token] == 0) continue;
    last_possible = static_cast<int64_t>(token);
    left -= probabilities[token];
    if (left < 0) break;
  }
  return last_possible;
}

}  // namespace triga::common
