#include "rnn/forecaster.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/stack.h>
#include <c10/util/StringUtil.h>

#include <cmath>

#include "common/model_json.h"
#include "rnn/forecast_sampler.h"
#include "rnn/squared_error.h"
#include "triga/ops.h"

namespace triga::rnn {
namespace {

using common::Json;

class Input final : public Layer {
 public:
  explicit Input(bool subtract_last) : subtract_last_(subtract_last) {}
  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor& input_BLC = context.batch()["input"];
    const at::Tensor shifted = subtract_last_ ? input_BLC - input_BLC.narrow(1, -1, 1) : input_BLC;
    return {{"hidden", shifted.transpose(0, 1).contiguous()}};
  }

 private:
  bool subtract_last_;
};

class Head final : public Layer {
 public:
  explicit Head(const ForecasterConfig& config) : config_(config) {
    const Init init = Init::uniform(1 / std::sqrt(static_cast<double>(config.hidden_size)));
    const int64_t rows = config.horizon * config.num_features;
    weight_ = parameter("head.weight", {rows, config.hidden_size}, init);
    bias_ = parameter("head.bias", {rows}, init);
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    const at::Tensor last = dropout(inputs["last"], config_.dropout, context, "last");
    const at::Tensor change =
        linear(last, weight_, &bias_).view({-1, config_.horizon, config_.num_features});
    if (!config_.subtract_last) return {{"forecast", change}};
    return {{"forecast", change + context.batch()["input"].narrow(1, -1, 1)}};
  }

 private:
  ForecasterConfig config_;
  Parameter weight_, bias_;
};

Json config_json(const ForecasterConfig& config) {
  return {{"model_type", "triga_rnn_forecaster"},
          {"num_features", config.num_features},
          {"horizon", config.horizon},
          {"cell", word(config.cell)},
          {"num_layers", config.num_layers},
          {"hidden_size", config.hidden_size},
          {"dropout", config.dropout},
          {"subtract_last", config.subtract_last}};
}

/// How to read the directory with PyTorch alone.
std::string readme(const ForecasterConfig& config) {
  return c10::str(
      "A recurrent forecaster. Its rows are those of a series' columns less `mean`, over "
      "`deviation`, where series.json names them. With PyTorch and safetensors:\n\n```python\n"
      "import torch\nfrom safetensors.torch import load_file\n\n"
      "model = torch.nn.ModuleDict({\n"
      "    \"rnn\": ",
      torch_module(config.cell), "(", config.num_features, ", ", config.hidden_size, ", ",
      config.num_layers, torch_options(config.cell),
      ", batch_first=True),\n"
      "    \"head\": torch.nn.Linear(",
      config.hidden_size, ", ", config.horizon * config.num_features,
      "),\n})\n"
      "model.load_state_dict(load_file(\"model.safetensors\"))\n",
      config.subtract_last ? "last = rows[:, -1:]\n" : "last = 0\n",
      "_, state = model[\"rnn\"](rows - last)\n"
      "hidden = state[0] if isinstance(state, tuple) else state\n"
      "forecast = model[\"head\"](hidden[-1]).unflatten(1, (",
      config.horizon, ", ", config.num_features, ")) + last\n```\n");
}

}  // namespace

void describe(Fields& fields, ForecasterConfig& config) {
  describe(fields, static_cast<RecurrentConfig&>(config));
  fields.field("num_features", config.num_features)
      .help("Columns of the series.")
      .at_least(1)
      .known_as({"input_size", "n_features", "enc_in", "num_variates"});
  fields.field("horizon", config.horizon)
      .help("Rows that are forecast at once.")
      .unit("rows")
      .at_least(1)
      .known_as({"pred_len", "prediction_length"});
  fields.field("dropout", config.dropout)
      .help("Share of activations that training sets to zero: between layers and before the head.")
      .at_least(0)
      .below(1);
  fields.field("subtract_last", config.subtract_last)
      .help(
          "The model reads and forecasts differences to the last row (NLinear of Zeng et al. "
          "2023): "
          "for series whose level wanders.");
}

std::vector<LayerSpec> Forecaster::layers() const {
  const ForecasterConfig config = config_;
  std::vector<LayerSpec> specs;
  specs.push_back({.name = "input",
                   .build = [config] { return std::make_unique<Input>(config.subtract_last); },
                   .writes = {"hidden"}});
  add_recurrent_layers({.cell = config.cell,
                        .num_layers = config.num_layers,
                        .input_size = config.num_features,
                        .hidden_size = config.hidden_size,
                        .init = config.init,
                        .dropout = config.dropout,
                        .gives_last = true},
                       specs);
  specs.push_back({.name = "head",
                   .build = [config] { return std::make_unique<Head>(config); },
                   .reads = {"last"},
                   .writes = {"forecast"}});
  return specs;
}

std::unique_ptr<Loss> Forecaster::loss() const {
  return squared_error("forecast", "target");
}

Batch Forecaster::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<at::Tensor> inputs, targets;
  for (const Sample& sample : samples) {
    if (!sample.contains("input") || !sample.contains("target"))
      throw DataError("a sample has no `input` and `target`; a forecaster reads kind csv_series");
    const at::Tensor &input = sample["input"], &target = sample["target"];
    if (input.dim() != 2 || input.size(1) != config_.num_features)
      throw DataError(c10::str("a sample's `input` is ", input.sizes(),
                               ", [rows, columns]; the "
                               "model reads num_features = ",
                               config_.num_features, " columns"));
    const std::vector<int64_t> shape = {config_.horizon, config_.num_features};
    if (target.sizes() != at::IntArrayRef(shape))
      throw DataError(c10::str("a sample's `target` is ", target.sizes(), "; the model forecasts ",
                               at::IntArrayRef(shape), " (horizon, num_features)"));
    inputs.push_back(input);
    targets.push_back(target);
  }
  Batch batch;
  batch.fields = {{"input", at::stack(inputs)}, {"target", at::stack(targets)}};
  batch.num_samples = static_cast<int64_t>(samples.size());
  batch.first_position = context.first_position;
  return batch;
}

std::vector<std::unique_ptr<Metric>> Forecaster::metrics() const {
  return error_metrics("forecast", "target");
}

std::optional<SamplerKind> Forecaster::sampler() const {
  return forecast_sampler(config_.num_features, config_.horizon);
}

ModelDirectory Forecaster::model_directory() const {
  return {.files = {{"config.json", config_json(config_).dump(2) + "\n"},
                    {"README.md", readme(config_)}}};
}

void Forecaster::check_compatible(const std::map<std::string, std::string>& files) const {
  const Json stored = common::parse_config_json(files, "rnn_forecaster", "triga_rnn_forecaster");
  common::ConfigComparison compare(stored);
  compare.expect_all(config_json(config_), {"model_type", "dropout"});
  compare.throw_if_any();
}

}  // namespace triga::rnn
