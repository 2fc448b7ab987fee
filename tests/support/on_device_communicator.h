// OnDeviceCommunicator: lets tests that speak of tensors on the CPU run on a device: each data
// operation is done on copies there, which come back when its Work is waited for. Everything else
// goes straight to the communicator inside.
#pragma once

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"

namespace triga::testing {

class OnDeviceCommunicator final : public Communicator {
 public:
  explicit OnDeviceCommunicator(std::unique_ptr<Communicator> inner) : inner_(std::move(inner)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  const std::string& name() const override { return inner_->name(); }
  const std::string& host(int rank) const override { return inner_->host(rank); }

  Work all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) override {
    const at::Tensor there = on_device(tensor);
    return back(inner_->all_reduce(there, op, what), there, tensor);
  }
  Work reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                      std::string_view what) override {
    const at::Tensor there = at::empty(output.sizes(), output.options().device(inner_->device()));
    return back(inner_->reduce_scatter(on_device(input), there, op, what), there, output);
  }
  Work all_gather(const at::Tensor& input, at::Tensor output, std::string_view what) override {
    const at::Tensor there = at::empty(output.sizes(), output.options().device(inner_->device()));
    return back(inner_->all_gather(on_device(input), there, what), there, output);
  }
  Work broadcast(at::Tensor tensor, int root, std::string_view what) override {
    const at::Tensor there = on_device(tensor);
    return back(inner_->broadcast(there, root, what), there, tensor);
  }
  Work send(const at::Tensor& tensor, int to, std::string_view what) override {
    return inner_->send(on_device(tensor), to, what);
  }
  Work recv(at::Tensor tensor, int from, std::string_view what) override {
    const at::Tensor there = at::empty(tensor.sizes(), tensor.options().device(inner_->device()));
    if (is_in_group_) received_.emplace_back(there, tensor);
    const Work work = inner_->recv(there, from, what);
    return is_in_group_ ? work : back(work, there, tensor);
  }
  void begin_group() override {
    inner_->begin_group();
    is_in_group_ = true;
  }
  Work end_group() override {
    const Work work = inner_->end_group();
    is_in_group_ = false;
    return Work(std::make_shared<Back>(work, std::exchange(received_, {})));
  }

  void barrier(std::string_view what) override { inner_->barrier(what); }
  void all_reduce_values(std::span<double> values, ReduceOp op, std::string_view what) override {
    inner_->all_reduce_values(values, op, what);
  }
  std::vector<std::string> all_gather_text(const std::string& text,
                                           std::string_view what) override {
    return inner_->all_gather_text(text, what);
  }
  std::string broadcast_text(const std::string& text, int root, std::string_view what) override {
    return inner_->broadcast_text(text, root, what);
  }
  std::unique_ptr<Communicator> split(int color, const std::string& name) override {
    return std::make_unique<OnDeviceCommunicator>(inner_->split(color, name));
  }
  at::Tensor allocate(int64_t numel, at::ScalarType type) override {
    return inner_->allocate(numel, type).cpu();
  }
  void set_step(int64_t step) override { inner_->set_step(step); }
  void set_deadline(std::chrono::milliseconds deadline) override { inner_->set_deadline(deadline); }
  void set_trace(Trace* trace) override { inner_->set_trace(trace); }
  Progress& progress() override { return inner_->progress(); }
  void finish() override { inner_->finish(); }

 private:
  using Copies = std::vector<std::pair<at::Tensor, at::Tensor>>;  // from, to

  class Back final : public Work::State {
   public:
    Back(Work work, Copies copies) : work_(std::move(work)), copies_(std::move(copies)) {}
    void wait() override {
      work_.wait();
      for (auto& [from, to] : std::exchange(copies_, {})) to.copy_(from);
    }
    void synchronize() override {
      work_.synchronize();
      wait();
    }
    bool is_done() const override { return work_.is_done(); }

   private:
    Work work_;
    Copies copies_;
  };

  // A copy keeps a wrong stride, which a device's communicator refuses as well.
  at::Tensor on_device(const at::Tensor& tensor) const { return tensor.to(inner_->device()); }
  static Work back(Work work, const at::Tensor& from, const at::Tensor& to) {
    return Work(std::make_shared<Back>(std::move(work), Copies{{from, to}}));
  }

  const std::unique_ptr<Communicator> inner_;
  bool is_in_group_ = false;
  Copies received_;
};

}  // namespace triga::testing
