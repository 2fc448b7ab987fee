#include "rnn/recurrent_gradients.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/gru_cell.h>
#include <ATen/ops/lstm_cell.h>
#include <ATen/ops/rnn_relu_cell.h>
#include <ATen/ops/rnn_tanh_cell.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <torch/csrc/autograd/autograd.h>

#include <memory>
#include <string>
#include <utility>

namespace triga::rnn {
namespace {

/// In fp64, so that what has vanished on the way is still a number; and where an LSTM's step is made
/// of operations that autograd can look between.
at::Tensor exact(const at::Tensor& tensor) {
  return tensor.detach().to(at::kCPU, at::kDouble);
}

/// The first `count` rows; those that are missing are zero.
at::Tensor with_rows(const at::Tensor& tensor, int64_t count) {
  if (tensor.size(0) >= count) return tensor.narrow(0, 0, count);
  return at::cat({tensor, at::zeros({count - tensor.size(0), tensor.size(1)}, tensor.options())});
}

struct State {
  at::Tensor hidden, cell;  // [rows, H]; cell: of an LSTM
};

/// One direction of a layer, as a chain of steps without history between them.
class Chain {
 public:
  Chain(const RecurrentCall& call, size_t direction)
      : kind_(call.cell), direction_(static_cast<int64_t>(direction)) {
    const RecurrentWeights& weights = call.directions[direction];
    for (const Parameter& parameter :
         {weights.input, weights.hidden, weights.input_bias, weights.hidden_bias})
      weights_.push_back(exact(parameter));
    if (call.batch_sizes.defined()) {
      const int64_t* sizes = call.batch_sizes.const_data_ptr<int64_t>();
      sizes_.assign(sizes, sizes + call.batch_sizes.numel());
    } else {
      sizes_.assign(static_cast<size_t>(call.x.size(0)), call.x.size(1));
    }
    for (size_t i = 0; i < sizes_.size(); ++i)
      order_.push_back(direction == 0 ? i : sizes_.size() - 1 - i);
    run(by_time(call.x), call.start);
  }

  /// Squares by time step, of the hidden state and of the cell.
  std::pair<at::Tensor, at::Tensor> gradients(const at::Tensor& grad_output,
                                              const at::Tensor& grad_last) const {
    const at::Tensor hidden_squares = at::zeros({static_cast<int64_t>(sizes_.size())}, at::kDouble);
    const at::Tensor cell_squares = at::zeros_like(hidden_squares);
    State gradient;  // of the state behind the step at hand, by all steps after it
    for (size_t i = order_.size(); i-- > 0;) {
      const size_t time = order_[i];
      const Step& step = steps_[i];
      at::Tensor hidden = from_outside(time, grad_output, grad_last);
      if (gradient.hidden.defined()) hidden = hidden + with_rows(gradient.hidden, sizes_[time]);
      at::Tensor cell;
      if (is_lstm())
        cell = gradient.cell.defined() ? with_rows(gradient.cell, sizes_[time])
                                       : at::zeros_like(hidden);
      const auto place = static_cast<int64_t>(time);
      hidden_squares[place].copy_(hidden.square().sum());
      gradient = back(step, hidden, cell);
      if (is_lstm()) cell_squares[place].copy_(cell.square().sum());
    }
    return {hidden_squares, is_lstm() ? cell_squares : at::Tensor()};
  }

 private:
  struct Step {
    State before, after;  // leaves; with history to them
  };

  bool is_lstm() const { return kind_ == Cell::kLstm; }

  /// [T] of [rows, ...], from [T, B, ...] or packed.
  std::vector<at::Tensor> by_time(const at::Tensor& x) const {
    const at::Tensor rows = exact(x).reshape({-1, x.size(-1)});
    return rows.split_with_sizes(sizes_);
  }

  void run(const std::vector<at::Tensor>& x, const RecurrentState& start) {
    const int64_t size = weights_[1].size(1);
    const auto first = [&](const at::Tensor& given) {
      const int64_t rows = sizes_[order_[0]];
      return given.defined() ? exact(given[direction_])
                             : at::zeros({rows, size}, weights_[1].options());
    };
    State state{first(start.hidden), is_lstm() ? first(start.cell) : at::Tensor()};
    for (const size_t time : order_) {
      Step step;
      const auto leaf = [&](const at::Tensor& value) {
        return with_rows(value.detach(), sizes_[time]).clone().set_requires_grad(true);
      };
      step.before.hidden = leaf(state.hidden);
      if (is_lstm()) step.before.cell = leaf(state.cell);
      step.after = state = next(x[time], step.before);
      steps_.push_back(step);
    }
  }

  State next(const at::Tensor& x, const State& state) const {
    const auto& w = weights_;
    if (is_lstm()) {
      const auto [hidden, cell] =
          at::lstm_cell(x, {state.hidden, state.cell}, w[0], w[1], w[2], w[3]);
      return {hidden, cell};
    }
    if (kind_ == Cell::kGru) return {at::gru_cell(x, state.hidden, w[0], w[1], w[2], w[3]), {}};
    if (kind_ == Cell::kTanh)
      return {at::rnn_tanh_cell(x, state.hidden, w[0], w[1], w[2], w[3]), {}};
    return {at::rnn_relu_cell(x, state.hidden, w[0], w[1], w[2], w[3]), {}};
  }

  /// What arrives at the hidden state of a time step from above and from behind the last step.
  at::Tensor from_outside(size_t time, const at::Tensor& grad_output,
                          const at::Tensor& grad_last) const {
    const int64_t size = weights_[1].size(1), rows = sizes_[time];
    at::Tensor gradient = at::zeros({rows, size}, weights_[1].options());
    if (grad_output.defined())
      gradient = gradient + by_time(grad_output)[time].narrow(1, direction_ * size, size);
    if (!grad_last.defined()) return gradient;
    // Forward a sequence ends where the next step has fewer; backward all end at their beginning.
    const int64_t go_on = direction_ == 1            ? (time == 0 ? 0 : rows)
                          : time + 1 < sizes_.size() ? sizes_[time + 1]
                                                     : 0;
    if (go_on < rows)
      gradient.narrow(0, go_on, rows - go_on)
          .add_(exact(grad_last[direction_]).narrow(0, go_on, rows - go_on));
    return gradient;
  }

  /// From the gradient by the state behind a step to that by the state before it. `cell` becomes the
  /// whole one by the cell behind the step, which acts on the hidden state as well.
  State back(const Step& step, const at::Tensor& hidden, at::Tensor& cell) const {
    if (!is_lstm())
      return {torch::autograd::grad({step.after.hidden}, {step.before.hidden}, {hidden})[0], {}};
    const auto gradients = torch::autograd::grad(
        {step.after.hidden, step.after.cell},
        {step.before.hidden, step.before.cell, step.after.cell}, {hidden, cell});
    cell = gradients[2];
    return {gradients[0], gradients[1]};
  }

  Cell kind_;
  int64_t direction_;
  std::vector<at::Tensor> weights_;
  std::vector<int64_t> sizes_;  // [time] rows
  std::vector<size_t> order_;   // of time steps
  std::vector<Step> steps_;     // in that order
};

}  // namespace

void report_squared_gradients(const RecurrentCall& call, const at::Tensor& grad_output,
                              const at::Tensor& grad_last, const GradientReport& report) {
  const c10::AutoGradMode with_grad(true);
  for (size_t direction = 0; direction < call.directions.size(); ++direction) {
    const auto [hidden, cell] = Chain(call, direction).gradients(grad_output, grad_last);
    const std::string end = direction == 0 ? "" : "_reverse";
    report("hidden" + end, hidden);
    if (cell.defined()) report("cell" + end, cell);
  }
}

void report_in_backward(const RecurrentCall& call, const at::Tensor& output, const at::Tensor& last,
                        const GradientReport& report) {
  const at::Tensor& watched = output.defined() ? output : last;
  if (!watched.requires_grad()) return;
  const auto is_done = std::make_shared<bool>(false);  // a backward pass in two parts comes twice
  watched.register_hook([=, of_output = output.defined()](const at::Tensor& gradient) {
    if (std::exchange(*is_done, true)) return;
    report_squared_gradients(call, of_output ? gradient : at::Tensor(),
                             of_output ? at::Tensor() : gradient, report);
  });
}

}  // namespace triga::rnn
