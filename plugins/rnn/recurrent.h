// A recurrent layer with the parameters and numerics of torch.nn.RNN, GRU and LSTM: all time steps
// in one operation of LibTorch.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "triga/layer.h"

namespace triga::rnn {

/// Elman 1990; Cho et al. 2014; Hochreiter and Schmidhuber 1997.
enum class Cell { kTanh, kRelu, kGru, kLstm };

/// "rnn_tanh", "rnn_relu", "gru", "lstm": as the configuration and config.json call them.
const std::vector<std::pair<std::string, Cell>>& cell_words();
std::string word(Cell cell);

/// Gates of a cell: rows of its weights are gates * hidden_size.
int64_t num_gates(Cell cell);

/// What a recurrent layer remembers: the hidden state and, of an LSTM, the cell. [1, B, H] each;
/// undefined: zeros.
struct RecurrentState {
  at::Tensor hidden, cell;
};

/// The weights of one direction of one layer.
struct RecurrentWeights {
  Parameter input, hidden;            // [gates * H, D], [gates * H, H]
  Parameter input_bias, hidden_bias;  // [gates * H]
};

/// All time steps of one layer and direction. x_TBD: [time, batch, D]. `state` is where it starts
/// from, and afterwards where it ended. Result: [time, batch, H].
at::Tensor run_recurrent(Cell cell, const RecurrentWeights& weights, const at::Tensor& x_TBD,
                         RecurrentState& state);

/// The names of one direction's weights in torch.nn.RNN and its kin, in the order of
/// RecurrentWeights: "weight_ih_l0", ...; backwards "weight_ih_l0_reverse".
std::array<std::string, 4> weight_names(int64_t layer, bool backwards = false);

}  // namespace triga::rnn
