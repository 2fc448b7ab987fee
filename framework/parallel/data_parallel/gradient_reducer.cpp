#include "parallel/data_parallel/gradient_reducer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace triga {
namespace {

bool is_plain(const at::Tensor& tensor) {
  return tensor.is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace

/// Takes a gradient before autograd accumulates it, and leaves it nothing to accumulate.
class GradientReducer::PlaceGradient final : public torch::autograd::FunctionPreHook {
 public:
  PlaceGradient(GradientReducer& reducer, size_t parameter)
      : reducer_(reducer), parameter_(parameter) {}
  torch::autograd::variable_list operator()(
      const torch::autograd::variable_list& gradients) override {
    if (gradients[0].defined()) reducer_.collect(parameter_, gradients[0]);
    return {at::Tensor()};
  }

 private:
  GradientReducer& reducer_;
  const size_t parameter_;
};

GradientReducer::GradientReducer(ParameterStore& store, Communicator& data, int zero)
    : store_(store), data_(data), zero_(zero) {
  const size_t num_parameters = store.parameters().size();
  is_written_.resize(num_parameters);
  is_begun_.resize(num_parameters);
  is_ready_.resize(num_parameters);
  num_parts_.resize(num_parameters, 1);
  if (zero == 2) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(store.options().device);
    int64_t longest = 0;
    for (const Bucket& bucket : store.buckets()) longest = std::max(longest, bucket.range.size());
    for (size_t i = 0; i < std::min(kNumSlots, store.buckets().size()); ++i) {
      slots_.push_back(data.allocate(longest, at::kFloat));
      results_.push_back(at::empty({longest / data.size()}, options));
    }
    sums_ = at::zeros({store.num_owned()}, options);
  }
  store.set_sink(this);
  for (size_t i = 0; i < num_parameters; ++i) {
    if (!store.parameters()[i].is_trainable) continue;
    auto accumulator = torch::autograd::impl::grad_accumulator(store.parameters()[i].value);
    accumulator->add_pre_hook(std::make_unique<PlaceGradient>(*this, i));
    accumulators_.push_back(std::move(accumulator));
  }
}

GradientReducer::~GradientReducer() {
  store_.set_sink(nullptr);
}

void GradientReducer::begin_step(int num_rounds, int last_round) {
  TRIGA_CHECK(last_round < num_rounds, "round ", last_round, " of ", num_rounds);
  last_round_ = last_round;
  round_ = -1;
  is_sending_ = false;
  is_written_.assign(is_written_.size(), false);
  has_sum_.assign(store_.buckets().size(), false);
}

void GradientReducer::begin_round(int round) {
  round_ = round;
  if (zero_ == 2) is_written_.assign(is_written_.size(), false);
  if (zero_ != 2 && round_ != last_round_) return;
  // From now on buckets are sent as they become ready.
  is_sending_ = true;
  is_ready_.assign(is_ready_.size(), false);
  num_missing_.clear();
  for (const Bucket& bucket : store_.buckets()) num_missing_.push_back(bucket.parameters.size());
  in_flight_.clear();
  num_slotted_ = num_taken_ = 0;
  if (zero_ == 2) fill_slots();
}

// In the order of arrival, as autograd adds up what meets in one pass.
void GradientReducer::collect(size_t parameter, const at::Tensor& part) {
  if (num_parts_[parameter] == 1) return place(parameter, part);
  const at::NoGradGuard no_grad;
  Parts& parts = collected_.try_emplace(parameter, Parts{num_parts_[parameter], {}}).first->second;
  parts.sum = parts.sum.defined() ? parts.sum.add(part) : part;
  if (--parts.num_left > 0) return;
  const at::Tensor sum = parts.sum;
  collected_.erase(parameter);
  place(parameter, sum);
}

/// Of layers that took part in the backward pass without giving a gradient.
void GradientReducer::release_collected() {
  for (auto& [parameter, parts] : std::exchange(collected_, {})) place(parameter, parts.sum);
}

void GradientReducer::place(size_t parameter, const at::Tensor& gradient) {
  const auto bucket = static_cast<size_t>(store_.parameters()[parameter].bucket);
  if (zero_ == 2 && bucket >= num_slotted_) {
    pending_.push_back({parameter, gradient});
    fill_slots();
    return;
  }
  write(parameter, gradient);
}

at::Tensor GradientReducer::place_of(size_t parameter) const {
  const StoredParameter& stored = store_.parameters()[parameter];
  if (zero_ != 2) return stored.gradient;
  const auto bucket = static_cast<size_t>(stored.bucket);
  const int64_t offset = stored.offset - store_.buckets()[bucket].range.begin;
  return slots_[bucket % slots_.size()].narrow(0, offset, stored.numel).view(stored.shape);
}

void GradientReducer::write(size_t parameter, const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  at::Tensor target = place_of(parameter);
  // What an operation wrote comes back as the very memory, or as a new sum that has it inside.
  const bool is_begun = is_begun_[parameter];
  TRIGA_CHECK(!is_sending_ || !is_ready_[parameter], "a second gradient of '",
              store_.parameters()[parameter].name,
              "' in one backward pass: a part of a layer that is recomputed (LayerContext::"
              "recompute) uses it, and so does another part or layer");
  is_begun_[parameter] = false;
  if (is_begun && gradient.data_ptr() == target.data_ptr()) {
  } else if (is_written_[parameter] && !is_begun)
    target.add_(gradient);
  else if (is_plain(gradient) && is_plain(target))
    std::memcpy(target.mutable_data_ptr(), gradient.const_data_ptr(), target.nbytes());
  else
    target.copy_(gradient);
  is_written_[parameter] = true;
  mark_ready(parameter);
}

at::Tensor GradientReducer::destination(size_t parameter, bool& accumulate) {
  const StoredParameter& stored = store_.parameters()[parameter];
  const bool has_memory = zero_ != 2 || static_cast<size_t>(stored.bucket) < num_slotted_;
  if (round_ < 0 || is_begun_[parameter] || !has_memory || stored.value.scalar_type() != at::kFloat)
    return {};
  is_begun_[parameter] = true;
  accumulate = is_written_[parameter];
  return place_of(parameter);
}

at::Tensor GradientReducer::begun(size_t parameter) {
  return is_begun_[parameter] ? place_of(parameter) : at::Tensor();
}

void GradientReducer::mark_ready(size_t parameter) {
  if (!is_sending_ || is_ready_[parameter]) return;
  is_ready_[parameter] = true;
  --num_missing_[static_cast<size_t>(store_.parameters()[parameter].bucket)];
  send_ready_buckets();
}

void GradientReducer::send_ready_buckets() {
  while (in_flight_.size() < num_missing_.size() && num_missing_[in_flight_.size()] == 0 &&
         (zero_ != 2 || in_flight_.size() < num_slotted_))
    send(in_flight_.size());
}

void GradientReducer::send(size_t bucket) {
  const Bucket& of = store_.buckets()[bucket];
  for (const size_t parameter : of.parameters)
    if (!is_written_[parameter]) {
      place_of(parameter).zero_();
      is_written_[parameter] = true;
    }
  if (data_.size() == 1 && zero_ != 2) {
    in_flight_.emplace_back();
    return;
  }
  const std::string what = c10::str("gradients of bucket ", bucket);
  if (zero_ == 2) {
    const size_t slot = bucket % slots_.size();
    const int64_t part = of.range.size() / data_.size();
    in_flight_.push_back(data_.reduce_scatter(slots_[slot].narrow(0, 0, of.range.size()),
                                              results_[slot].narrow(0, 0, part), ReduceOp::kSum,
                                              what));
    return;
  }
  const at::Tensor gradients = of.range.of(store_.flat_gradients());
  in_flight_.push_back(
      zero_ == 0 ? data_.all_reduce(gradients, ReduceOp::kSum, what)
                 : data_.reduce_scatter(gradients, store_.part(of).of(store_.flat_gradients()),
                                        ReduceOp::kSum, what));
}

// zero 2: memory goes to buckets in index order; bucket b waits for the result of bucket
// b - kNumSlots.
void GradientReducer::fill_slots() {
  while (num_slotted_ < num_missing_.size() && take_slot(num_slotted_)) {
    const size_t bucket = num_slotted_++;
    const Bucket& of = store_.buckets()[bucket];
    for (const FlatRange& padding : of.padding)  // the slot held another bucket before
      slots_[bucket % slots_.size()]
          .slice(0, padding.begin - of.range.begin, padding.end - of.range.begin)
          .zero_();
    std::vector<Pending> pending;
    std::swap(pending, pending_);
    for (Pending& one : pending) {
      if (static_cast<size_t>(store_.parameters()[one.parameter].bucket) == bucket)
        write(one.parameter, one.gradient);
      else
        pending_.push_back(std::move(one));
    }
  }
}

bool GradientReducer::take_slot(size_t bucket) {
  if (bucket < slots_.size()) return true;
  const size_t before = bucket - slots_.size();
  if (before >= in_flight_.size()) return false;  // not sent yet
  while (num_taken_ <= before) take_result(num_taken_++);
  return true;
}

void GradientReducer::take_result(size_t bucket) {
  const at::NoGradGuard no_grad;
  in_flight_[bucket].wait();
  const FlatRange part = store_.owned(store_.buckets()[bucket]);
  const at::Tensor result = results_[bucket % slots_.size()].narrow(0, 0, part.size());
  at::Tensor sum = store_.owned_view(sums_, bucket, part);
  if (has_sum_[bucket])
    sum.add_(result);
  else
    sum.copy_(result);
  has_sum_[bucket] = true;
}

void GradientReducer::end_round() {
  release_collected();
  if (zero_ != 2) return;
  while (in_flight_.size() < num_missing_.size()) {  // what this rank had no gradient for
    fill_slots();                                    // may send as well
    if (in_flight_.size() < num_missing_.size()) send(in_flight_.size());
  }
  while (num_taken_ < num_missing_.size()) take_result(num_taken_++);
  TRIGA_CHECK(pending_.empty(), "a gradient has no place");
}

void GradientReducer::finish() {
  if (zero_ == 2) return;
  if (last_round_ < 0) begin_round(last_round_);  // this rank had nothing to compute
  while (in_flight_.size() < num_missing_.size()) send(in_flight_.size());
  for (Work& work : in_flight_) work.wait();
  in_flight_.clear();
  is_sending_ = false;
}

at::Tensor GradientReducer::gradients(size_t bucket, FlatRange range) const {
  return zero_ == 2 ? store_.owned_view(sums_, bucket, range) : range.of(store_.flat_gradients());
}

}  // namespace triga
