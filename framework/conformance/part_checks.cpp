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

constexpr int64_t kElements = 24, kCut = 7, kGroupCut = 8;

struct Update {
  std::vector<int64_t> cuts = {kElements};  // where slices end
  std::vector<OptimizerGroup> groups;       // of the slices; empty: the values of no group
  double learning_rate = 0.01;
  double gradient_factor = 1;  // that the gradients already have
  double gradient_scale = 1;   // that the optimizer is told
  bool resumes = false;        // before the last update with a new optimizer, as a run does
};

/// The parameter after three updates.
at::Tensor updated(const Maker<Optimizer>& make, const Update& update) {
  auto optimizer = make();
  at::Tensor parameter = at::empty({kElements}, at::kFloat);
  fill_normal(parameter, RandomKey(31).with("parameter"), 0, 1);
  std::vector<at::Tensor> states;
  for (size_t i = 0; i < optimizer->state_names().size(); ++i)
    states.push_back(at::zeros({kElements}, at::kFloat));
  for (int64_t step = 1; step <= 3; ++step) {
    if (step == 3 && update.resumes) optimizer = make();
    at::Tensor gradient = at::empty({kElements}, at::kFloat);
    fill_normal(gradient, RandomKey(31).with("gradient"), 0, 1, static_cast<uint64_t>(step));
    gradient.mul_(update.gradient_factor);
    std::vector<OptimizerSlice> slices;
    int64_t begin = 0;
    for (const int64_t end : update.cuts) {
      OptimizerSlice slice;
      const auto part = [&](const at::Tensor& whole) {
        const at::Tensor flat = whole.slice(0, begin, end);
        return optimizer->needs_whole_parameters() ? flat.view({4, -1}) : flat;
      };
      slice.parameter = part(parameter);
      slice.gradient = part(gradient);
      for (const at::Tensor& state : states) slice.states.push_back(part(state));
      if (!update.groups.empty()) slice.group = update.groups[slices.size()];
      slices.push_back(std::move(slice));
      begin = end;
    }
    optimizer->update(slices, update.learning_rate, step, update.gradient_scale);
  }
  return parameter;
}

bool are_close(const at::Tensor& a, const at::Tensor& b) {
  return at::allclose(a, b, 1e-5, 1e-7);
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
  if (dataset->model_files() != other->model_files())
    problems.push_back("its model_files() are others every time");
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
  const at::Tensor whole = updated(make, {});
  if (!whole.isfinite().all().item<bool>())
    problems.push_back("it gives values that are not finite");
  if (!whole.equal(updated(make, {})))
    problems.push_back("the same updates give other values every time");
  else if (!whole.equal(updated(make, {.resumes = true})))
    problems.push_back(
        "after a resume it gives other values: what an update leaves for the next one belongs into "
        "the states of its slices, for a checkpoint holds nothing else");
  if (!make()->needs_whole_parameters() &&
      !are_close(whole, updated(make, {.cuts = {kCut, kElements}})))
    problems.push_back(
        "two slices give other values than one: each element may depend on its own only, unless "
        "needs_whole_parameters() says so");
  const at::Tensor scaled = updated(make, {.gradient_factor = 2, .gradient_scale = 0.5});
  if (!at::allclose(whole, scaled, 1e-5, 1e-6))
    problems.push_back("gradient_scale is not a factor of the gradients");
  if (!updated(make, {.learning_rate = 0})
           .equal(updated(make, {.learning_rate = 0, .gradient_factor = 3})))
    problems.push_back("with a learning rate of 0 parameters change with the gradients");
  return problems;
}

Problems check_optimizer_groups(const Maker<Optimizer>& make) {
  constexpr double kRate = 0.01;
  const OptimizerGroup usual{.weight_decay = 0},
      slow{.learning_rate_scale = 0.5, .weight_decay = 0}, decaying{.weight_decay = 0.5},
      hardly_decaying{.weight_decay = 1e-12};
  using Groups = std::vector<OptimizerGroup>;
  const auto in_groups = [&](const Groups& groups, double learning_rate = kRate) {
    return updated(
               make,
               {.cuts = {kGroupCut, kElements}, .groups = groups, .learning_rate = learning_rate})
        .split({kGroupCut, kElements - kGroupCut});
  };
  const auto plain = in_groups({usual, usual}), slower = in_groups({usual, usual}, kRate / 2);
  bool scale_holds = true, decay_is_heard = true, none_is_none = true, others_stay = true;
  // The group is that of the first slice, then that of the second: whose values hold for all?
  for (const size_t own : {0, 1}) {
    const auto with = [&](const OptimizerGroup& group) {
      Groups groups = {usual, usual};
      groups[own] = group;
      return in_groups(groups);
    };
    const auto scaled = with(slow), decayed = with(decaying);
    scale_holds &= are_close(scaled[own], slower[own]);
    decay_is_heard &= !are_close(decayed[own], plain[own]);
    none_is_none &= are_close(with(hardly_decaying)[own], plain[own]);
    for (const auto& result : {scaled, decayed})
      others_stay &= are_close(result[1 - own], plain[1 - own]);
  }
  Problems problems;
  if (!scale_holds)
    problems.push_back("a slice's group.learning_rate_scale is not a factor of its learning rate");
  if (!decay_is_heard)
    problems.push_back(
        "a slice's group.weight_decay changes nothing: where it has a value, it stands in place of "
        "the optimizer's own");
  if (!none_is_none)
    problems.push_back(
        "a slice's group.weight_decay of 0 is not taken for 0: biases and norms have that value");
  if (!others_stay) problems.push_back("the values of a slice's group change other slices");
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
