#include "rnn/language_model.h"

#include <c10/util/StringUtil.h>

#include <cmath>

#include "common/model_json.h"
#include "common/next_token.h"
#include "common/text_sampler.h"
#include "common/vocabulary.h"
#include "triga/ops.h"

namespace triga::rnn {
namespace {

using common::Json;

const std::string kEmbedding = "encoder.weight";  // with tie_weights the head's as well

Parameter embedding_parameter(
    const std::function<Parameter(std::string, std::vector<int64_t>, Init)>& declare,
    const LanguageModelConfig& config) {
  return declare(kEmbedding, {config.vocab_size.value(), config.embedding_size}, Init::normal(1));
}

// Between layers activations lie time first, as recurrent operations want them.

class Embedding final : public Layer {
 public:
  explicit Embedding(const LanguageModelConfig& config)
      : dropout_(config.dropout),
        weight_(embedding_parameter(
            [this](auto name, auto shape, Init init) { return parameter(name, shape, init); },
            config)) {}

  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor hidden_TBD = embedding(context.batch()["input_ids"].t(), weight_);
    return {{"hidden", dropout(hidden_TBD, dropout_, context, "embedding")}};
  }

 private:
  double dropout_;
  Parameter weight_;
};

class Head final : public Layer {
 public:
  explicit Head(const LanguageModelConfig& config) {
    const Init init = Init::uniform(1 / std::sqrt(static_cast<double>(config.hidden_size)));
    const int64_t vocabulary = config.vocab_size.value();
    const auto declare = [this](auto name, auto shape, Init first) {
      return parameter(name, shape, first);
    };
    weight_ = config.tie_weights
                  ? embedding_parameter(declare, config)
                  : parameter("decoder.weight", {vocabulary, config.hidden_size}, init);
    bias_ = parameter("decoder.bias", {vocabulary}, init);
  }

  Activations forward(const Activations& inputs, LayerContext&) override {
    const at::Tensor hidden_BTD = inputs["hidden"].transpose(0, 1).contiguous();
    return {{"logits", linear(hidden_BTD, weight_, &bias_)}};
  }

 private:
  Parameter weight_, bias_;
};

Json config_json(const LanguageModelConfig& config) {
  return {{"model_type", "triga_rnn_language_model"}, {"cell", word(config.cell)},
          {"num_layers", config.num_layers},          {"embedding_size", config.embedding_size},
          {"hidden_size", config.hidden_size},        {"vocab_size", config.vocab_size.value()},
          {"tie_weights", config.tie_weights},        {"dropout", config.dropout}};
}

/// How to read the directory with PyTorch alone.
std::string readme(const LanguageModelConfig& config) {
  return c10::str(
      "A recurrent language model. With PyTorch and safetensors:\n\n```python\n"
      "import torch\nfrom safetensors.torch import load_file\n\n"
      "model = torch.nn.ModuleDict({\n"
      "    \"encoder\": torch.nn.Embedding(",
      *config.vocab_size, ", ", config.embedding_size,
      "),\n"
      "    \"rnn\": ",
      torch_module(config.cell), "(", config.embedding_size, ", ", config.hidden_size, ", ",
      config.num_layers, torch_options(config.cell),
      ", batch_first=True),\n"
      "    \"decoder\": torch.nn.Linear(",
      config.hidden_size, ", ", *config.vocab_size, "),\n})\n",
      config.tie_weights ? "model[\"decoder\"].weight = model[\"encoder\"].weight\n" : "",
      "model.load_state_dict(load_file(\"model.safetensors\"), strict=",
      config.tie_weights ? "False" : "True",
      ")\n"
      "hidden, _ = model[\"rnn\"](model[\"encoder\"](input_ids))\n"
      "logits = model[\"decoder\"](hidden)\n```\n");
}

}  // namespace

void describe(Fields& fields, LanguageModelConfig& config) {
  describe(fields, static_cast<RecurrentConfig&>(config));
  fields.field("embedding_size", config.embedding_size)
      .help("Length of the vector that stands for a token.")
      .at_least(1)
      .known_as({"emsize", "embedding_dim", "emb_dim", "ninp", "dim_emb"});
  fields.field("context_length", config.context_length)
      .help("How far back gradients reach: the length that samples are cut to.")
      .unit("tokens")
      .at_least(1)
      .known_as({"bptt", "seq_len", "sequence_length", "block_size", "max_length"});
  common::describe_vocab_size(fields, config.vocab_size);
  fields.field("dropout", config.dropout)
      .help(
          "Share of activations that training sets to zero, behind the embedding and behind every "
          "layer (Zaremba et al. 2014).")
      .at_least(0)
      .below(1)
      .known_as({"dropout_p", "dropout_rate", "p_dropout", "dropout_rnn"});
  fields.field("tie_weights", config.tie_weights)
      .help("The head is the embedding (Press and Wolf 2017); embedding_size is hidden_size then.")
      .known_as({"tied", "tie_word_embeddings", "tied_embeddings"});
  fields.field("carry_state", config.carry_state)
      .help(
          "Truncated backpropagation through time (Williams and Peng 1990): each sample of a step "
          "goes on in a text of its own where the same sample of the step before ended, from what "
          "the layers remembered there; gradients still reach back context_length. Needs "
          "data.shuffle: false. false: each sample starts from nothing.")
      .known_as({"stateful", "truncated_bptt", "tbptt"});
  fields.rule("tie_weights", [&config]() -> std::optional<std::string> {
    if (!config.tie_weights || config.embedding_size == config.hidden_size) return std::nullopt;
    return c10::str("a head that is the embedding needs embedding_size ", config.embedding_size,
                    " to be hidden_size ", config.hidden_size);
  });
}

LanguageModel::LanguageModel(const LanguageModelConfig& config, const ArchitectureContext& context)
    : config_(config) {
  config_.vocab_size = common::vocabulary_size(config.vocab_size, context.tokenizer);
  if (context.tokenizer) pad_token_ = context.tokenizer->end_of_text().value_or(0);
}

std::vector<LayerSpec> LanguageModel::layers() const {
  const LanguageModelConfig config = config_;
  std::vector<LayerSpec> specs;
  specs.push_back({.name = "embedding",
                   .build = [config] { return std::make_unique<Embedding>(config); },
                   .writes = {"hidden"}});
  // Dropout behind every layer, the last as well: before the head (Zaremba et al. 2014, figure 2).
  add_recurrent_layers({.cell = config.cell,
                        .num_layers = config.num_layers,
                        .input_size = config.embedding_size,
                        .hidden_size = config.hidden_size,
                        .init = config.init,
                        .dropout = config.dropout,
                        .dropout_behind_last = true},
                       specs);
  specs.push_back({.name = "head",
                   .build = [config] { return std::make_unique<Head>(config); },
                   .reads = {"hidden"},
                   .writes = {"logits"}});
  return specs;
}

std::unique_ptr<Loss> LanguageModel::loss() const {
  return std::make_unique<common::NextTokenLoss>();
}

Batch LanguageModel::collate(const std::vector<Sample>& samples,
                             const CollateContext& context) const {
  return common::collate_next_token(
      samples, context, {.pad_token = pad_token_, .context_length = config_.context_length});
}

std::vector<std::unique_ptr<Metric>> LanguageModel::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(std::make_unique<common::NextTokenAccuracy>());
  return metrics;
}

std::optional<SamplerKind> LanguageModel::sampler() const {
  return common::text_sampler(common::kAnyLength);
}

ModelDirectory LanguageModel::model_directory() const {
  return {.files = {{"config.json", config_json(config_).dump(2) + "\n"},
                    {"README.md", readme(config_)}}};
}

void LanguageModel::check_compatible(const std::map<std::string, std::string>& files) const {
  const Json stored =
      common::parse_config_json(files, "rnn_language_model", "triga_rnn_language_model");
  common::ConfigComparison compare(stored);
  compare.expect_all(config_json(config_), {"model_type", "dropout"});
  compare.throw_if_any();
}

}  // namespace triga::rnn
