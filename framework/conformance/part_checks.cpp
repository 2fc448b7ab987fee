#include "conformance/part_checks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <future>

namespace triga::conformance {
namespace {

bool are_equal(const Sample& a, const Sample& b) {
  size_t count = 0;
  for (const auto& [name, tensor] : a) {
    const at::Tensor* other = b.find(name);
    if (other == nullptr || !tensor.equal(*other)) return false;
    ++count;
  }
  return count == b.size();
}

/// First, last, and some between.
std::vector<int64_t> some_of(int64_t size) {
  std::vector<int64_t> indices;
  for (int64_t i = 0; i < 8; ++i) indices.push_back((size - 1) * i / 7);
  return indices;
}

constexpr int64_t kElements = 24, kCut = 7;

/// The parameter after three updates by slices that end at `cuts`.
at::Tensor updated(Optimizer& optimizer, const std::vector<int64_t>& cuts, double learning_rate,
                   double factor_of_gradient, double gradient_scale) {
  at::Tensor parameter = at::empty({kElements}, at::kFloat);
  fill_normal(parameter, RandomKey(31).with("parameter"), 0, 1);
  std::vector<at::Tensor> states;
  for (size_t i = 0; i < optimizer.state_names().size(); ++i)
    states.push_back(at::zeros({kElements}, at::kFloat));
  for (int64_t step = 1; step <= 3; ++step) {
    at::Tensor gradient = at::empty({kElements}, at::kFloat);
    fill_normal(gradient, RandomKey(31).with("gradient"), 0, 1, static_cast<uint64_t>(step));
    gradient.mul_(factor_of_gradient);
    std::vector<OptimizerSlice> slices;
    int64_t begin = 0;
    for (const int64_t end : cuts) {
      OptimizerSlice slice;
      const auto part = [&](const at::Tensor& whole) {
        const at::Tensor flat = whole.slice(0, begin, end);
        return optimizer.needs_whole_parameters() ? flat.view({4, kElements / 4}) : flat;
      };
      slice.parameter = part(parameter);
      slice.gradient = part(gradient);
      for (const at::Tensor& state : states) slice.states.push_back(part(state));
      slices.push_back(std::move(slice));
      begin = end;
    }
    optimizer.update(slices, learning_rate, step, gradient_scale);
  }
  return parameter;
}

}  // namespace

Problems check_dataset(const Maker<Dataset>& make) {
  Problems problems;
  const auto dataset = make(), other = make();
  const int64_t size = dataset->size();
  if (size < 1) return {"it has no samples"};
  if (other->size() != size) problems.push_back("its size is another one every time");
  if (dataset->fingerprint().empty() || dataset->fingerprint() != other->fingerprint())
    problems.push_back("its fingerprint is empty, or another one every time");
  const std::vector<int64_t> indices = some_of(size);
  const auto get_all = [&] {
    std::vector<Sample> samples;
    for (const int64_t i : indices) samples.push_back(dataset->get(i));
    return samples;
  };
  auto other_thread = std::async(std::launch::async, get_all);
  const std::vector<Sample> first = get_all(), in_thread = other_thread.get();
  for (size_t k = 0; k < indices.size(); ++k) {
    const std::string name = c10::str("sample ", indices[k]);
    if (first[k].size() == 0) problems.push_back(name + " is empty");
    if (!are_equal(first[k], in_thread[k]) || !are_equal(first[k], other->get(indices[k])))
      problems.push_back(name + " is another one every time");
    if (dataset->length(indices[k]) < 1 || dataset->length(indices[k]) != other->length(indices[k]))
      problems.push_back(name + " has no length, or another one every time");
  }
  return problems;
}

Problems check_tokenizer(
    const Tokenizer& tokenizer,
    const std::function<std::unique_ptr<Tokenizer>(const std::map<std::string, std::string>&)>&
        reopen) {
  Problems problems;
  const auto again = reopen(tokenizer.files());
  if (again->vocab_size() != tokenizer.vocab_size())
    problems.push_back("opened from its files() it has another vocab_size()");
  for (const std::string text :
       {"", "a", "The quick brown fox, 42 times.\n", "na\u00efve \u4f60"}) {
    const std::vector<int32_t> ids = tokenizer.encode(text);
    const auto is_outside = [&](int32_t id) { return id < 0 || id >= tokenizer.vocab_size(); };
    if (std::any_of(ids.begin(), ids.end(), is_outside))
      problems.push_back("'" + text + "' has an id outside of the vocabulary");
    if (ids != tokenizer.encode(text))
      problems.push_back("'" + text + "' has other ids every time");
    if (ids != again->encode(text))
      problems.push_back("'" + text + "' has other ids when it is opened from its files()");
    else if (tokenizer.decode(ids) != again->decode(ids))
      problems.push_back("the ids of '" + text +
                         "' are another text when it is opened from files()");
  }
  if (const auto end = tokenizer.end_of_text(); end && (*end < 0 || *end >= tokenizer.vocab_size()))
    problems.push_back("end_of_text() lies outside of the vocabulary");
  return problems;
}

Problems check_optimizer(const Maker<Optimizer>& make) {
  Problems problems;
  const auto names = make()->state_names();
  if (std::any_of(names.begin(), names.end(), [](const auto& name) { return name.empty(); }))
    problems.push_back("a state has no name");
  const at::Tensor whole = updated(*make(), {kElements}, 0.01, 1, 1);
  if (!whole.isfinite().all().item<bool>())
    problems.push_back("it gives values that are not finite");
  if (!whole.equal(updated(*make(), {kElements}, 0.01, 1, 1)))
    problems.push_back("the same updates give other values every time");
  if (!make()->needs_whole_parameters() &&
      !at::allclose(whole, updated(*make(), {kCut, kElements}, 0.01, 1, 1), 1e-5, 1e-7))
    problems.push_back(
        "two slices give other values than one: each element may depend on its own only, unless "
        "needs_whole_parameters() says so");
  const at::Tensor scaled = updated(*make(), {kElements}, 0.01, 2, 0.5);
  if (!at::allclose(whole, scaled, 1e-5, 1e-6))
    problems.push_back("gradient_scale is not a factor of the gradients");
  if (!updated(*make(), {kElements}, 0, 1, 1).equal(updated(*make(), {kElements}, 0, 3, 1)))
    problems.push_back("with a learning rate of 0 parameters change with the gradients");
  return problems;
}

Problems check_schedule(const Maker<LearningRateSchedule>& make) {
  const auto schedule = make(), other = make();
  for (const int64_t step : {0, 1, 2, 10, 99, 100, 101, 5000}) {
    const double factor = schedule->factor(step);
    if (!std::isfinite(factor) || factor < 0)
      return {c10::str("the factor of step ", step, " is ", factor)};
    if (factor != other->factor(step) || factor != schedule->factor(step))
      return {c10::str("the factor of step ", step, " is another one every time")};
  }
  return {};
}

}  // namespace triga::conformance
