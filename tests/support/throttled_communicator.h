// ThrottledCommunicator: a communicator whose large collectives take as long as on a slow link, in
// a thread of their own that sleeps: to see what a step hides behind computing. Everything else
// goes straight to the communicator inside.
#pragma once

#include <atomic>
#include <chrono>
#include <thread>

#include "comm/communicator.h"
#include "comm/operation_queue.h"

namespace triga::test {

struct Link {
  double bytes_per_second = 200e6;
  double latency_seconds = 100e-6;
};

class ThrottledCommunicator final : public Communicator {
 public:
  ThrottledCommunicator(Communicator& inner, Link link)
      : inner_(inner), link_(link), queue_("slow link", [] { return false; }) {}

  /// Off: collectives are as fast as those inside.
  void set_throttled(bool on) { is_throttled_ = on; }
  /// How long the collectives since the last call take on this link without anything else.
  double take_standalone_seconds() { return std::exchange(standalone_seconds_, 0.0); }

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  const std::string& name() const override { return inner_.name(); }
  const std::string& host(int rank) const override { return inner_.host(rank); }
  at::Device device() const override { return inner_.device(); }

  // As ring algorithms do, each rank sends (n - 1) / n of the tensor, twice for an all_reduce.
  Work all_reduce(at::Tensor tensor, ReduceOp op, std::string_view what) override {
    return slow(2 * share(tensor.nbytes()), [=, this, name = std::string(what)] {
      return inner_.all_reduce(tensor, op, name);
    });
  }
  Work reduce_scatter(const at::Tensor& input, at::Tensor output, ReduceOp op,
                      std::string_view what) override {
    return slow(share(input.nbytes()), [=, this, name = std::string(what)] {
      return inner_.reduce_scatter(input, output, op, name);
    });
  }
  Work all_gather(const at::Tensor& input, at::Tensor output, std::string_view what) override {
    return slow(share(output.nbytes()), [=, this, name = std::string(what)] {
      return inner_.all_gather(input, output, name);
    });
  }
  Work broadcast(at::Tensor tensor, int root, std::string_view what) override {
    return inner_.broadcast(std::move(tensor), root, what);
  }
  Work send(const at::Tensor& tensor, int to, std::string_view what) override {
    return inner_.send(tensor, to, what);
  }
  Work recv(at::Tensor tensor, int from, std::string_view what) override {
    return inner_.recv(std::move(tensor), from, what);
  }
  void begin_group() override { inner_.begin_group(); }
  Work end_group() override { return inner_.end_group(); }
  void barrier(std::string_view what) override { inner_.barrier(what); }
  void all_reduce_values(std::span<double> values, ReduceOp op, std::string_view what) override {
    inner_.all_reduce_values(values, op, what);
  }
  std::vector<std::string> all_gather_text(const std::string& text,
                                           std::string_view what) override {
    return inner_.all_gather_text(text, what);
  }
  std::string broadcast_text(const std::string& text, int root, std::string_view what) override {
    return inner_.broadcast_text(text, root, what);
  }
  std::unique_ptr<Communicator> split(int color, const std::string& name) override {
    return inner_.split(color, name);
  }
  at::Tensor allocate(int64_t numel, at::ScalarType type) override {
    return inner_.allocate(numel, type);
  }
  void set_step(int64_t step) override { inner_.set_step(step); }
  void set_deadline(std::chrono::milliseconds deadline) override { inner_.set_deadline(deadline); }
  void set_trace(Trace* trace) override { inner_.set_trace(trace); }
  Progress& progress() override { return inner_.progress(); }
  void finish() override { inner_.finish(); }

 private:
  double share(size_t bytes) const {
    return static_cast<double>(bytes) * (inner_.size() - 1) / inner_.size();
  }

  Work slow(double bytes, std::function<Work()> start) {
    const double seconds = link_.latency_seconds + bytes / link_.bytes_per_second;
    standalone_seconds_ += seconds;
    if (!is_throttled_) return start();
    auto work = OperationQueue::prepare();
    queue_.start(work, [seconds, start = std::move(start)] {
      const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
      start().synchronize();
      std::this_thread::sleep_until(end);
    });
    return OperationQueue::work_of(std::move(work));
  }

  Communicator& inner_;
  const Link link_;
  OperationQueue queue_;
  bool is_throttled_ = true;
  double standalone_seconds_ = 0;
};

}  // namespace triga::test
