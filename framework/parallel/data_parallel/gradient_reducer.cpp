#include "parallel/data_parallel/gradient_reducer.h"

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace triga {

GradientReducer::GradientReducer(ParameterStore& store, Communicator& data)
    : store_(store), data_(data) {
  is_ready_.resize(store.parameters().size());
  if (data.size() == 1) return;
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    if (!store.parameters()[i].is_trainable) continue;
    auto accumulator = torch::autograd::impl::grad_accumulator(store.parameters()[i].value);
    hooks_.push_back(
        accumulator->add_post_hook(std::make_unique<torch::autograd::utils::LambdaPostHook>(
            [this, i](const torch::autograd::variable_list& outputs,
                      const torch::autograd::variable_list&) {
              mark_ready(i);
              return outputs;
            })));
    accumulators_.push_back(std::move(accumulator));
  }
}

GradientReducer::~GradientReducer() {
  for (size_t i = 0; i < accumulators_.size(); ++i) accumulators_[i]->del_post_hook(hooks_[i]);
}

void GradientReducer::begin_step() {
  num_missing_.clear();
  for (const Bucket& bucket : store_.buckets()) num_missing_.push_back(bucket.parameters.size());
  is_ready_.assign(is_ready_.size(), false);
  in_flight_.clear();
  is_last_backward_ = false;
}

void GradientReducer::expect_last_backward() {
  is_last_backward_ = true;
}

void GradientReducer::mark_ready(size_t parameter) {
  if (!is_last_backward_ || is_ready_[parameter]) return;
  is_ready_[parameter] = true;
  --num_missing_[static_cast<size_t>(store_.parameters()[parameter].bucket)];
  send_ready_buckets();
}

void GradientReducer::send_ready_buckets() {
  while (in_flight_.size() < num_missing_.size() && num_missing_[in_flight_.size()] == 0)
    send(in_flight_.size());
}

void GradientReducer::send(size_t bucket) {
  const Bucket& range = store_.buckets()[bucket];
  in_flight_.push_back(data_.all_reduce(store_.flat_gradients().slice(0, range.begin, range.end),
                                        ReduceOp::kSum, c10::str("gradients of bucket ", bucket)));
}

void GradientReducer::finish() {
  is_last_backward_ = false;
  if (data_.size() == 1) return;
  while (in_flight_.size() < num_missing_.size()) send(in_flight_.size());
  for (Work& work : in_flight_) work.wait();
  in_flight_.clear();
}

}  // namespace triga
