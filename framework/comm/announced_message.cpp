// What a communicator without a thread of its own for it does: the second half of a message is asked
// for by whoever looks for it.
#include <utility>

#include "comm/communicator.h"

namespace triga {
namespace {

class AnnouncedMessage final : public Work::State {
 public:
  AnnouncedMessage(Communicator& group, Work header, std::function<at::Tensor()> make, int from,
                   std::string what)
      : group_(group),
        header_(std::move(header)),
        make_(std::move(make)),
        from_(from),
        what_(std::move(what)) {}

  void wait() override {
    header_.synchronize();
    ask();
    tensor_.wait();
  }
  void synchronize() override {
    wait();
    tensor_.synchronize();
  }
  bool is_done() const override {
    if (!header_.is_done()) return false;
    const_cast<AnnouncedMessage*>(this)->ask();  // NOLINT: whoever looks moves it on
    return tensor_.is_done();
  }

 private:
  void ask() {
    if (is_asked_) return;
    is_asked_ = true;
    header_.synchronize();  // throws what went wrong
    at::Tensor tensor = make_();
    if (tensor.defined()) tensor_ = group_.recv(std::move(tensor), from_, what_);
  }

  Communicator& group_;
  Work header_, tensor_;
  const std::function<at::Tensor()> make_;
  const int from_;
  const std::string what_;
  bool is_asked_ = false;
};

}  // namespace

Work Communicator::recv_announced(at::Tensor header, std::function<at::Tensor()> make, int from,
                                  std::string_view what) {
  Work first = recv(std::move(header), from, what);
  return Work(std::make_shared<AnnouncedMessage>(*this, std::move(first), std::move(make), from,
                                                 std::string(what)));
}

}  // namespace triga
