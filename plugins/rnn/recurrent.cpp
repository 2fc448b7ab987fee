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

std::string torch_module(Cell cell) {
  return cell == Cell::kLstm  ? "torch.nn.LSTM"
         : cell == Cell::kGru ? "torch.nn.GRU"
                              : "torch.nn.RNN";
}

std::string torch_options(Cell cell) {
  return cell == Cell::kRelu ? ", nonlinearity=\"relu\"" : "";
}

int64_t num_gates(Cell cell) {
  return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : 1;
}

at::Tensor run_recurrent(Cell cell, const std::vector<RecurrentWeights>& directions,
                         const at::Tensor& given_x, const at::Tensor& batch_sizes,
                         RecurrentState& state) {
  constexpr bool kHasBiases = true, kTraining = false, kBatchFirst = false;
  constexpr int64_t kNumLayers = 1;
  constexpr double kDropout = 0;  // between layers, where its masks do not depend on the layout
  const bool is_packed = batch_sizes.defined(), both_ways = directions.size() == 2;
  std::vector<at::Tensor> list;
  for (const RecurrentWeights& weights : directions)
    list.insert(list.end(), {weights.input.tensor(), weights.hidden.tensor(),
                             weights.input_bias.tensor(), weights.hidden_bias.tensor()});
  // Numbers of a data set are fp32, and so may be a state that another run remembered.
  const at::Tensor x = given_x.to(directions[0].input->scalar_type());
  const int64_t batch = is_packed ? batch_sizes[0].item<int64_t>() : x.size(1);
  const auto start = [&](const at::Tensor& given) {
    return given.defined() ? given.to(x.scalar_type())
                           : at::zeros({static_cast<int64_t>(directions.size()), batch,
                                        directions[0].hidden->size(1)},
                                       x.options());
  };
  const at::Tensor hidden = start(state.hidden);
  at::Tensor output;
  if (cell == Cell::kLstm) {
    const std::vector<at::Tensor> both = {hidden, start(state.cell)};
    std::tie(output, state.hidden, state.cell) =
        is_packed ? at::lstm(x, batch_sizes, both, list, kHasBiases, kNumLayers, kDropout,
                             kTraining, both_ways)
                  : at::lstm(x, both, list, kHasBiases, kNumLayers, kDropout, kTraining, both_ways,
                             kBatchFirst);
    return output;
  }
  using Padded =
      std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&, at::TensorList, bool,
                                         int64_t, double, bool, bool, bool);
  using Packed =
      std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&, const at::Tensor&,
                                         at::TensorList, bool, int64_t, double, bool, bool);
  const auto run = [&](Padded* padded, Packed* packed) {
    std::tie(output, state.hidden) = is_packed
                                         ? packed(x, batch_sizes, hidden, list, kHasBiases,
                                                  kNumLayers, kDropout, kTraining, both_ways)
                                         : padded(x, hidden, list, kHasBiases, kNumLayers, kDropout,
                                                  kTraining, both_ways, kBatchFirst);
    return output;
  };
  if (cell == Cell::kGru) return run(at::gru, at::gru);
  if (cell == Cell::kTanh) return run(at::rnn_tanh, at::rnn_tanh);
  return run(at::rnn_relu, at::rnn_relu);
}

std::array<std::string, 4> weight_names(int64_t layer, bool backwards) {
  const std::string end = c10::str("_l", layer, backwards ? "_reverse" : "");
  return {"weight_ih" + end, "weight_hh" + end, "bias_ih" + end, "bias_hh" + end};
}

}  // namespace triga::rnn
