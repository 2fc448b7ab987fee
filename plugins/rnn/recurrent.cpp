#include "rnn/recurrent.h"

#include <ATen/ops/gru.h>
#include <ATen/ops/lstm.h>
#include <ATen/ops/rnn_relu.h>
#include <ATen/ops/rnn_tanh.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <tuple>

namespace triga::rnn {

const std::vector<std::pair<std::string, Cell>>& cell_words() {
  static const std::vector<std::pair<std::string, Cell>> words = {{"rnn_tanh", Cell::kTanh},
                                                                  {"rnn_relu", Cell::kRelu},
                                                                  {"gru", Cell::kGru},
                                                                  {"lstm", Cell::kLstm}};
  return words;
}

std::string word(Cell cell) {
  for (const auto& [name, value] : cell_words())
    if (value == cell) return name;
  return "?";
}

int64_t num_gates(Cell cell) {
  return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1;
}

at::Tensor run_recurrent(Cell cell, const RecurrentWeights& weights, const at::Tensor& x_TBD,
                         RecurrentState& state) {
  constexpr bool kHasBiases = true, kTraining = false, kBothDirections = false, kBatchFirst = false;
  constexpr int64_t kNumLayers = 1;
  constexpr double kDropout = 0;  // between layers, where its masks do not depend on the layout
  const std::vector<at::Tensor> list = {weights.input.tensor(), weights.hidden.tensor(),
                                        weights.input_bias.tensor(), weights.hidden_bias.tensor()};
  const auto start = [&](const at::Tensor& given) {
    return given.defined()
               ? given
               : at::zeros({1, x_TBD.size(1), weights.hidden->size(1)}, x_TBD.options());
  };
  const at::Tensor hidden = start(state.hidden);
  at::Tensor output;
  if (cell == Cell::kLstm) {
    std::tie(output, state.hidden, state.cell) =
        at::lstm(x_TBD, {hidden, start(state.cell)}, list, kHasBiases, kNumLayers, kDropout,
                 kTraining, kBothDirections, kBatchFirst);
    return output;
  }
  const auto run = [&](auto operation) {
    std::tie(output, state.hidden) = operation(x_TBD, hidden, list, kHasBiases, kNumLayers,
                                               kDropout, kTraining, kBothDirections, kBatchFirst);
    return output;
  };
  using Operation =
      std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&, at::TensorList, bool,
                                         int64_t, double, bool, bool, bool);
  if (cell == Cell::kGru) return run(static_cast<Operation*>(at::gru));
  if (cell == Cell::kTanh) return run(static_cast<Operation*>(at::rnn_tanh));
  return run(static_cast<Operation*>(at::rnn_relu));
}

std::array<std::string, 4> weight_names(int64_t layer, bool backwards) {
  const std::string end = c10::str("_l", layer, backwards ? "_reverse" : "");
  return {"weight_ih" + end, "weight_hh" + end, "bias_ih" + end, "bias_hh" + end};
}

}  // namespace triga::rnn
