// A stack of recurrent layers, as torch.nn.RNN and its kin with num_layers: what the kinds of this
// plugin have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "rnn/recurrent.h"
#include "triga/config.h"
#include "triga/layer.h"

namespace triga::rnn {

/// How first values differ from torch.nn's. What decides whether gradients reach the beginning of a
/// sequence is how much of its state a layer keeps from step to step.
struct RecurrentInit {
  /// Bias of an LSTM's forget gate (Gers et al. 2000; Jozefowicz et al. 2015) and of a GRU's update
  /// gate: that share of the state is kept, as a logit. Empty: drawn like every other one.
  std::optional<double> forget_bias;
  /// Factor of the weights from state to state. Drawn uniformly within gain / sqrt(H), they have a
  /// spectral radius of about gain / sqrt(3).
  double recurrent_gain = 1;
};

/// What the options of every kind of this plugin begin with.
struct RecurrentConfig {
  Cell cell = Cell::kLstm;
  int64_t num_layers = 1;
  int64_t hidden_size = 128;
  RecurrentInit init;
};

void describe(Fields& fields, RecurrentConfig& config);

struct RecurrentStack {
  Cell cell = Cell::kLstm;
  int64_t num_layers = 1, input_size = 1, hidden_size = 1;
  RecurrentInit init;
  bool is_bidirectional = false;
  double dropout = 0;  // of the outputs of every layer but the last
  bool dropout_behind_last = false;
  bool is_packed = false;   // "hidden" is packed; the batch has "lengths", int64 [B], falling
  bool gives_last = false;  // the last layer writes "last" [B, directions * H] in place of "hidden"
};

/// Adds layers "rnn.0", "rnn.1", ... with parameters "rnn.weight_ih_l0", ... Each reads and writes
/// "hidden", time first ([T, B, D]) or packed ([N, D]). Where state by sequence is kept, they go on
/// from it (not when packed).
void add_recurrent_layers(const RecurrentStack& stack, std::vector<LayerSpec>& specs);

/// int64 [T] on the CPU: how many of the sequences are at least so long. `lengths`: falling.
at::Tensor batch_sizes_of(const at::Tensor& lengths);

/// x [B, T, ...] as PackedSequence: [N, ...], all first steps, then all second ones.
at::Tensor pack(const at::Tensor& x, const at::Tensor& lengths);

}  // namespace triga::rnn
