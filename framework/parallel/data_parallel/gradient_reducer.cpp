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
    reducer_.data_.progress().move();
    if (gradients[0].defined()) reducer_.collect(parameter_, gradients[0]);
    return {at::Tensor()};
  }

 private:
  GradientReducer& reducer_;
  const size_t parameter_;
};

GradientReducer::GradientReducer(ParameterStore& store, Communicator& data, int zero)
    : store_(store), data_(data), zero_(zero) {
  const std::vector<Bucket>& buckets = store.buckets();
  while (shared_begin_ < buckets.size() && !is_shared(shared_begin_)) ++shared_begin_;
  const size_t num_parameters = store.parameters().size();
  is_written_.resize(num_parameters);
  is_begun_.resize(num_parameters);
  is_ready_.resize(num_parameters);
  if (zero == 2) {
    const auto options = at::TensorOptions().dtype(at::kFloat).device(store.options().device);
    for (const int64_t size : slot_sizes(store)) {
      slots_.push_back(data.allocate(size, at::kFloat));
      results_.push_back(at::empty({size / data.size()}, options));
    }
    for (size_t i = shared_begin_; i < buckets.size(); ++i)
      shared_[i] = data.allocate(buckets[i].range.size(), at::kFloat);
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

std::vector<int64_t> GradientReducer::slot_sizes(const ParameterStore& store) {
  const std::vector<Bucket>& buckets = store.buckets();
  size_t num_own = 0;
  while (num_own < buckets.size() && buckets[num_own].sharing.empty()) ++num_own;
  std::vector<int64_t> sizes(std::min(kNumSlots, num_own), 0);
  size_t first = 0;  // of the bucket's stage
  for (size_t i = 0; i < num_own; ++i) {
    if (buckets[i].stage != buckets[first].stage) first = i;
    int64_t& size = sizes[(i - first) % sizes.size()];
    size = std::max(size, buckets[i].range.size());
  }
  return sizes;
}

GradientReducer::~GradientReducer() {
  store_.set_sink(nullptr);
}

void GradientReducer::expect_parts(int stage, size_t parameter, int num_parts) {
  if (num_parts != 1) num_parts_[{stage, parameter}] = num_parts;
}

void GradientReducer::begin_step() {
  stage_ = -1;
  next_bucket_ = 0;
  in_flight_.clear();
  is_written_.assign(is_written_.size(), false);
  is_ready_.assign(is_ready_.size(), false);
  has_sum_.assign(store_.buckets().size(), false);
  num_missing_.clear();
  for (const Bucket& bucket : store_.buckets()) num_missing_.push_back(bucket.parameters.size());
}

void GradientReducer::begin_pass(int stage, bool is_last) {
  TRIGA_CHECK(stage_ < 0, "a backward pass inside another");
  stage_ = stage;
  is_last_ = is_last;
  if (zero_ != 2) return;
  const std::vector<Bucket>& buckets = store_.buckets();
  pass_begin_ = 0;
  while (pass_begin_ < shared_begin_ && buckets[pass_begin_].stage != stage) ++pass_begin_;
  pass_end_ = pass_begin_;
  while (pass_end_ < shared_begin_ && buckets[pass_end_].stage == stage) ++pass_end_;
  for (size_t i = pass_begin_; i < pass_end_; ++i) {
    num_missing_[i] = buckets[i].parameters.size();
    for (const size_t parameter : buckets[i].parameters)
      is_written_[parameter] = is_ready_[parameter] = false;
  }
  in_flight_.clear();
  next_bucket_ = slotted_end_ = taken_end_ = pass_begin_;
  fill_slots();
}

// In the order of arrival, as autograd adds up what meets in one pass.
void GradientReducer::collect(size_t parameter, const at::Tensor& part) {
  const auto num_parts = num_parts_.find({stage_, parameter});
  if (num_parts == num_parts_.end()) return place(parameter, part);
  const at::NoGradGuard no_grad;
  Parts& parts = collected_.try_emplace(parameter, Parts{num_parts->second, {}}).first->second;
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

bool GradientReducer::has_memory(size_t parameter) const {
  const auto bucket = static_cast<size_t>(store_.parameters()[parameter].bucket);
  return zero_ != 2 || is_shared(bucket) || bucket < slotted_end_;
}

void GradientReducer::place(size_t parameter, const at::Tensor& gradient) {
  if (!has_memory(parameter)) {
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
  const at::Tensor& memory = is_shared(bucket) ? shared_.at(bucket) : slots_[slot_of(bucket)];
  return memory.narrow(0, offset, stored.numel).view(stored.shape);
}

void GradientReducer::write(size_t parameter, const at::Tensor& gradient) {
  const at::NoGradGuard no_grad;
  at::Tensor target = place_of(parameter);
  // What an operation wrote comes back as the very memory, or as a new sum that has it inside.
  const bool is_begun = is_begun_[parameter];
  TRIGA_CHECK(!is_final() || !is_ready_[parameter], "a second gradient of '",
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
  if (stage_ < 0 || is_begun_[parameter] || !has_memory(parameter) ||
      store_.parameters()[parameter].value.scalar_type() != at::kFloat)
    return {};
  is_begun_[parameter] = true;
  accumulate = is_written_[parameter];
  return place_of(parameter);
}

at::Tensor GradientReducer::begun(size_t parameter) {
  return is_begun_[parameter] ? place_of(parameter) : at::Tensor();
}

/// Shared parameters get gradients of several stages: they are ready at the end of the step.
void GradientReducer::mark_ready(size_t parameter) {
  const auto bucket = static_cast<size_t>(store_.parameters()[parameter].bucket);
  if (!is_final() || is_shared(bucket)) return;
  is_ready_[parameter] = true;
  --num_missing_[bucket];
  send_ready_buckets();
}

void GradientReducer::send_ready_buckets() {
  const size_t end = zero_ == 2 ? slotted_end_ : shared_begin_;
  while (next_bucket_ < end && num_missing_[next_bucket_] == 0) send(next_bucket_++);
}

void GradientReducer::fill_missing(const Bucket& bucket) {
  for (const size_t parameter : bucket.parameters)
    if (!is_written_[parameter]) {
      place_of(parameter).zero_();
      is_written_[parameter] = true;
    }
}

void GradientReducer::send(size_t bucket) {
  const Bucket& of = store_.buckets()[bucket];
  fill_missing(of);
  if (data_.size() == 1 && zero_ != 2) return;
  const std::string what = c10::str("gradients of bucket ", bucket);
  if (zero_ == 2) {
    const size_t slot = slot_of(bucket);
    const int64_t part = of.range.size() / data_.size();
    in_flight_[bucket] =
        data_.reduce_scatter(slots_[slot].narrow(0, 0, of.range.size()),
                             results_[slot].narrow(0, 0, part), ReduceOp::kSum, what);
    return;
  }
  const at::Tensor gradients = of.range.of(store_.flat_gradients());
  in_flight_[bucket] =
      zero_ == 0 ? data_.all_reduce(gradients, ReduceOp::kSum, what)
                 : data_.reduce_scatter(gradients, store_.part(of).of(store_.flat_gradients()),
                                        ReduceOp::kSum, what);
}

// zero 2: memory goes to the pass's buckets in index order; bucket b waits for the result of bucket
// b - kNumSlots.
void GradientReducer::fill_slots() {
  while (slotted_end_ < pass_end_ && take_slot(slotted_end_)) {
    const size_t bucket = slotted_end_++;
    const Bucket& of = store_.buckets()[bucket];
    for (const FlatRange& padding : of.padding)  // the slot held another bucket before
      slots_[slot_of(bucket)]
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
  if (bucket - pass_begin_ < slots_.size()) return true;
  const size_t before = bucket - slots_.size();
  if (before >= next_bucket_) return false;  // not sent yet
  while (taken_end_ <= before) take_result(taken_end_++);
  return true;
}

void GradientReducer::take_result(size_t bucket) {
  const at::NoGradGuard no_grad;
  in_flight_.at(bucket).wait();
  const FlatRange part = store_.owned(store_.buckets()[bucket]);
  const at::Tensor result = results_[slot_of(bucket)].narrow(0, 0, part.size());
  at::Tensor sum = store_.owned_view(sums_, bucket, part);
  if (has_sum_[bucket])
    sum.add_(result);
  else
    sum.copy_(result);
  has_sum_[bucket] = true;
}

void GradientReducer::end_pass() {
  release_collected();
  if (zero_ == 2) {
    while (next_bucket_ < pass_end_) {  // what this rank had no gradient for
      fill_slots();                     // may send as well
      if (next_bucket_ < pass_end_) send(next_bucket_++);
    }
    while (taken_end_ < pass_end_) take_result(taken_end_++);
    TRIGA_CHECK(pending_.empty(), "a gradient has no place");
  }
  stage_ = -1;
  is_last_ = false;
}

void GradientReducer::finish() {
  if (zero_ != 2)
    while (next_bucket_ < shared_begin_) send(next_bucket_++);
  reduce_shared();
  for (auto& [bucket, work] : in_flight_) work.wait();
  in_flight_.clear();
}

void GradientReducer::reduce_shared() {
  for (size_t bucket = shared_begin_; bucket < store_.buckets().size(); ++bucket) {
    if (zero_ != 2) {
      send(bucket);
      continue;
    }
    const Bucket& of = store_.buckets()[bucket];
    fill_missing(of);
    for (const FlatRange& padding : of.padding)
      shared_.at(bucket)
          .slice(0, padding.begin - of.range.begin, padding.end - of.range.begin)
          .zero_();
    in_flight_[bucket] =
        data_.reduce_scatter(shared_.at(bucket), store_.owned_view(sums_, bucket, store_.owned(of)),
                             ReduceOp::kSum, c10::str("gradients of bucket ", bucket));
  }
}

at::Tensor GradientReducer::gradients(size_t bucket, FlatRange range) const {
  return zero_ == 2 ? store_.owned_view(sums_, bucket, range) : range.of(store_.flat_gradients());
}

}  // namespace triga
