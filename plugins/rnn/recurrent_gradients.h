// How the gradient of the loss flows back through the time steps of a recurrent layer: the total
// derivative of the loss by the state at every step, which vanishes or explodes on its way
// (Hochreiter 1991; Bengio et al. 1994). The fused operation has it inside only, so it is computed
// again, step by step.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "rnn/recurrent.h"
#include "triga/layer.h"

namespace triga::rnn {

/// One call of run_recurrent.
struct RecurrentCall {
  Cell cell = Cell::kLstm;
  std::vector<RecurrentWeights> directions;
  at::Tensor x, batch_sizes;
  RecurrentState start;
};

/// Squares of that gradient, added up over the batch and the state's elements, for each time step
/// (of the sequence, in both directions), fp64. What reaches the layer from outside is given by
/// `grad_output` (like the call's output) and `grad_last` (like RecurrentState::hidden); each may be
/// undefined, which is zero. Reports "hidden" and, of an LSTM, "cell"; of the second direction
/// "hidden_reverse", "cell_reverse".
void report_squared_gradients(const RecurrentCall& call, const at::Tensor& grad_output,
                              const at::Tensor& grad_last, const GradientReport& report);

/// Reports once during the backward pass, when the gradient of `output` or of `last` is there: the
/// one of both that the model goes on with. Requires: the other one is undefined.
void report_in_backward(const RecurrentCall& call, const at::Tensor& output, const at::Tensor& last,
                        const GradientReport& report);

}  // namespace triga::rnn
