#include "rnn/recurrent_layers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/_pack_padded_sequence.h>
#include <ATen/ops/arange.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <tuple>
#include <utility>

#include "rnn/recurrent_gradients.h"
#include "triga/ops.h"
#include "triga/sequence_state.h"

namespace triga::rnn {
namespace {

class RecurrentLayer final : public Layer {
 public:
  RecurrentLayer(const RecurrentStack& stack, int64_t index, std::string name)
      : stack_(stack), name_(std::move(name)), is_last_(index + 1 == stack.num_layers) {
    const int64_t num_directions = stack.is_bidirectional ? 2 : 1;
    const int64_t in = index == 0 ? stack.input_size : num_directions * stack.hidden_size;
    const int64_t rows = num_gates(stack.cell) * stack.hidden_size;
    const int64_t size = stack.hidden_size;
    const double bound = 1 / std::sqrt(static_cast<double>(size));
    const Init init = Init::uniform(bound);
    const Init recurrent = Init::uniform(stack.init.recurrent_gain * bound);
    Init input_bias = init, hidden_bias = init;
    if (const auto& value = stack.init.forget_bias) {  // the gate's biases are added up
      input_bias = init.with_rows(size, 2 * size, *value);
      hidden_bias = init.with_rows(size, 2 * size, 0);
    }
    for (int64_t direction = 0; direction < num_directions; ++direction) {
      const auto names = weight_names(index, direction == 1);
      directions_.push_back({parameter("rnn." + names[0], {rows, in}, init),
                             parameter("rnn." + names[1], {rows, size}, recurrent),
                             parameter("rnn." + names[2], {rows}, input_bias),
                             parameter("rnn." + names[3], {rows}, hidden_bias)});
    }
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    SequenceState* kept = context.sequence_state();  // each [B, H]
    RecurrentState state = load(kept);
    const at::Tensor batch_sizes =
        stack_.is_packed ? batch_sizes_of(context.batch()["lengths"]) : at::Tensor();
    const RecurrentState start = state;
    const at::Tensor hidden =
        run_recurrent(stack_.cell, directions_, inputs["hidden"], batch_sizes, state);
    save(state, kept);
    const bool gives_last = is_last_ && stack_.gives_last;
    if (const GradientReport report = context.gradient_report())
      report_in_backward({stack_.cell, directions_, inputs["hidden"].detach(), batch_sizes, start},
                         gives_last ? at::Tensor() : hidden,
                         gives_last ? state.hidden : at::Tensor(), report);
    if (gives_last) return {{"last", state.hidden.transpose(0, 1).flatten(1)}};
    const double p = is_last_ && !stack_.dropout_behind_last ? 0 : stack_.dropout;
    return {{"hidden", dropout(hidden, p, context, "output")}};
  }

 private:
  RecurrentState load(SequenceState* kept) const {
    const auto part = [&](const char* name) {
      const at::Tensor value = kept == nullptr ? at::Tensor() : kept->get(name_, name);
      return value.defined() ? value.unsqueeze(0).contiguous() : value;
    };
    return {part("hidden"), part("cell")};
  }

  void save(const RecurrentState& state, SequenceState* kept) const {
    if (kept == nullptr) return;
    TRIGA_CHECK(directions_.size() == 1 && !stack_.is_packed,
                "only layers of one direction go on from where they were");
    kept->set(name_, "hidden", state.hidden[0]);
    if (state.cell.defined()) kept->set(name_, "cell", state.cell[0]);
  }

  RecurrentStack stack_;
  std::string name_;
  bool is_last_;
  std::vector<RecurrentWeights> directions_;
};

}  // namespace

void describe(Fields& fields, RecurrentConfig& config) {
  fields.choice("cell", config.cell, cell_words())
      .help(
          "The recurrence: simple with tanh or ReLU (Elman 1990), gru (Cho et al. 2014), lstm "
          "(Hochreiter and Schmidhuber 1997).")
      .known_as({"rnn_type", "cell_type", "model", "enc_cell", "dec_cell"});
  fields.field("num_layers", config.num_layers)
      .help("Recurrent layers, one on the other.")
      .at_least(1)
      .known_as({"nlayers", "n_layers", "n_layer", "layers", "e_layers"});
  fields.field("hidden_size", config.hidden_size)
      .help("Length of what a layer remembers, in each direction.")
      .at_least(1)
      .known_as({"nhid", "hidden_dim", "rnn_size", "dim_rnn", "d_model"});
  fields.field("forget_bias", config.init.forget_bias)
      .help(
          "First bias of the gate that decides what stays remembered, an LSTM's forget gate or a "
          "GRU's update gate: 1 is common (Jozefowicz et al. 2015), 4 keeps gradients over a "
          "hundred time steps. none: drawn like every other one, as torch.nn's, which keeps half.")
      .empty_word("none")
      .known_as({"forget_gate_bias", "unit_forget_bias", "bias_init"});
  fields.field("recurrent_gain", config.init.recurrent_gain)
      .help(
          "First weights from state to state are this many times torch.nn's. Their spectral radius "
          "is about recurrent_gain / sqrt(3): above 1, gradients of simple layers can explode.")
      .above(0)
      .known_as({"recurrent_scale", "spectral_radius"});
  fields.rule("forget_bias", [&config]() -> std::optional<std::string> {
    if (!config.init.forget_bias || config.cell == Cell::kLstm || config.cell == Cell::kGru)
      return std::nullopt;
    return c10::str("cell ", word(config.cell), " has no gate that could keep what is remembered");
  });
}

void add_recurrent_layers(const RecurrentStack& stack, std::vector<LayerSpec>& specs) {
  for (int64_t i = 0; i < stack.num_layers; ++i) {
    const std::string name = c10::str("rnn.", i);
    const bool gives_last = stack.gives_last && i + 1 == stack.num_layers;
    specs.push_back(
        {.name = name,
         .build = [stack, i, name] { return std::make_unique<RecurrentLayer>(stack, i, name); },
         .reads = {"hidden"},
         .writes = {gives_last ? "last" : "hidden"}});
  }
}

at::Tensor batch_sizes_of(const at::Tensor& lengths) {
  const at::Tensor here = lengths.cpu();
  const at::Tensor steps = at::arange(here[0].item<int64_t>(), at::kLong);
  return here.unsqueeze(0).gt(steps.unsqueeze(1)).sum(1);
}

at::Tensor pack(const at::Tensor& x, const at::Tensor& lengths) {
  return std::get<0>(at::_pack_padded_sequence(x, lengths.cpu(), /*batch_first=*/true));
}

}  // namespace triga::rnn
