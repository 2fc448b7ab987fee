// A recurrent layer with the parameters and numerics of torch.nn.RNN, GRU and LSTM: all time steps
// and both directions in one operation of LibTorch.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "triga/layer.h"

namespace triga::rnn {

/// Elman 1990; Cho et al. 2014; Hochreiter and Schmidhuber 1997.
enum class Cell { kTanh, kRelu, kGru, kLstm };

/// "rnn_tanh", "rnn_relu", "gru", "lstm": as the configuration and config.json call them.
const std::vector<std::pair<std::string, Cell>>& cell_words();
std::string word(Cell cell);
/// How PyTorch makes it: "torch.nn.LSTM", and what it needs beside sizes (", nonlinearity=...").
std::string torch_module(Cell cell);
std::string torch_options(Cell cell);

/// Gates of a cell: rows of its weights are gates * hidden_size.
int64_t num_gates(Cell cell);

/// What a recurrent layer remembers: the hidden state and, of an LSTM, the cell.
/// [directions, B, H] each; undefined: zeros.
struct RecurrentState {
  at::Tensor hidden, cell;
};

/// The weights of one direction of one layer.
struct RecurrentWeights {
  Parameter input, hidden;            // [gates * H, D], [gates * H, H]
  Parameter input_bias, hidden_bias;  // [gates * H]
};

/// All time steps of one layer, forward and, with weights of a second direction, backward. x:
/// [time, batch, D], or packed as torch.nn.utils.rnn.PackedSequence packs it, [N, D] with
/// `batch_sizes` (int64 [time], on the CPU). `state` is where it starts from, and afterwards where
/// it ended. Result: like x with directions * H in place of D. All is computed in the type of the
/// weights (x and `state` may be of another), and so is the result.
at::Tensor run_recurrent(Cell cell, const std::vector<RecurrentWeights>& directions,
                         const at::Tensor& x, const at::Tensor& batch_sizes, RecurrentState& state);

/// The names of one direction's weights in torch.nn.RNN and its kin, in the order of
/// RecurrentWeights: "weight_ih_l0", ...; backwards "weight_ih_l0_reverse".
std::array<std::string, 4> weight_names(int64_t layer, bool backwards);

}  // namespace triga::rnn
