#include "rnn/sequence_encoder.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "common/vocabulary.h"
#include "triga/ops.h"

namespace triga::rnn {
namespace {

bool has_tokens(const SequenceEncoderConfig& config) {
  return config.input == SequenceInput::kTokens;
}

const char* field_of(const SequenceEncoderConfig& config) {
  return has_tokens(config) ? "input_ids" : "features";
}

/// Tokens become vectors; the batch becomes a packed sequence: [N, D].
class Input final : public Layer {
 public:
  explicit Input(const SequenceEncoderConfig& config) : config_(config) {
    if (has_tokens(config))
      weight_ = parameter("embedding.weight", {config.vocab_size.value(), config.embedding_size},
                          Init::normal(config_.embedding_deviation));
  }

  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor packed = pack(context.batch()[field_of(config_)], context.batch()["lengths"]);
    if (!has_tokens(config_)) return {{"hidden", packed}};
    return {{"hidden", dropout(embedding(packed, weight_), config_.dropout, context, "embedding")}};
  }

 private:
  SequenceEncoderConfig config_;
  Parameter weight_;
};

class Head final : public Layer {
 public:
  Head(const SequenceEncoderConfig& config, const std::string& name, int64_t num_outputs,
       std::string writes)
      : dropout_(config.dropout), writes_(std::move(writes)) {
    const int64_t size = config.output_size();
    const Init init = Init::uniform(1 / std::sqrt(static_cast<double>(size)));
    weight_ = parameter(name + ".weight", {num_outputs, size}, init);
    bias_ = parameter(name + ".bias", {num_outputs}, init);
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    return {{writes_, linear(dropout(inputs["last"], dropout_, context, "last"), weight_, &bias_)}};
  }

 private:
  double dropout_;
  std::string writes_;
  Parameter weight_, bias_;
};

at::Tensor sequence_of(const SequenceEncoderConfig& config, const Sample& sample) {
  const bool of_tokens = has_tokens(config);
  const char* field = of_tokens ? "tokens" : "features";
  if (!sample.contains(field))
    throw DataError(c10::str("a sample has no `", field, "`, which the model reads (input: ",
                             of_tokens ? "tokens" : "features", ")"));
  const at::Tensor& sequence = sample[field];
  const bool fits = of_tokens ? sequence.dim() == 1 && sequence.scalar_type() == at::kLong
                              : sequence.dim() == 2 && sequence.scalar_type() == at::kFloat &&
                                    sequence.size(1) == config.num_features;
  if (!fits)
    throw DataError(c10::str(
        "a sample's `", field, "` is ", sequence.dtype(), " ", sequence.sizes(),
        "; the model reads ",
        of_tokens ? "one row of int64" : c10::str("float [n, ", config.num_features, "]")));
  if (sequence.size(0) < 1 || sequence.size(0) > config.max_length)
    throw DataError(c10::str("a sequence of length ", sequence.size(0),
                             "; the model reads 1 to max_length = ", config.max_length));
  return sequence;
}

}  // namespace

void describe(Fields& fields, SequenceEncoderConfig& config) {
  describe(fields, static_cast<RecurrentConfig&>(config));
  fields
      .choice("input", config.input,
              {{"tokens", SequenceInput::kTokens}, {"features", SequenceInput::kFeatures}})
      .help("What a sequence is made of: tokens of a text, or vectors of num_features numbers.");
  fields.field("embedding_size", config.embedding_size)
      .help("Length of the vector that stands for a token. With input: tokens.")
      .at_least(1)
      .known_as({"emsize", "embedding_dim", "emb_dim"});
  fields.field("embedding_deviation", config.embedding_deviation)
      .help(
          "Standard deviation of the first embedding. torch.nn.Embedding's is 1; with little data "
          "a small one is better, since words that are seen once or never then say little. With "
          "input: tokens.")
      .above(0)
      .known_as({"initializer_range", "init_std"});
  fields.field("num_features", config.num_features)
      .help("Numbers in a vector. With input: features.")
      .at_least(1)
      .known_as({"input_size", "n_features"});
  fields.field("bidirectional", config.bidirectional)
      .help("Layers read in both directions (Schuster and Paliwal 1997).");
  fields.field("max_length", config.max_length)
      .help("Longest sequence; texts are cut to it.")
      .at_least(1)
      .known_as({"max_len", "seq_len", "sequence_length", "context_length"});
  common::describe_vocab_size(fields, config.vocab_size);
  fields.field("dropout", config.dropout)
      .help(
          "Share of activations that training sets to zero: of the embedding, between layers, and "
          "before the last linear layer.")
      .at_least(0)
      .below(1)
      .known_as({"dropout_p", "dropout_rate"});
}

void set_vocabulary(SequenceEncoderConfig& config, const Tokenizer* tokenizer) {
  if (has_tokens(config)) config.vocab_size = common::vocabulary_size(config.vocab_size, tokenizer);
}

void add_encoder_layers(const SequenceEncoderConfig& config, std::vector<LayerSpec>& specs) {
  specs.push_back({.name = "input",
                   .build = [config] { return std::make_unique<Input>(config); },
                   .writes = {"hidden"}});
  add_recurrent_layers({.cell = config.cell,
                        .num_layers = config.num_layers,
                        .input_size = config.input_size(),
                        .hidden_size = config.hidden_size,
                        .init = config.init,
                        .is_bidirectional = config.bidirectional,
                        .dropout = config.dropout,
                        .is_packed = true,
                        .gives_last = true},
                       specs);
}

LayerSpec linear_head(const SequenceEncoderConfig& config, const std::string& name,
                      int64_t num_outputs, const std::string& writes) {
  return {.name = name,
          .build = [=] { return std::make_unique<Head>(config, name, num_outputs, writes); },
          .reads = {"last"},
          .writes = {writes}};
}

Batch collate_sequences(const SequenceEncoderConfig& config, const std::vector<Sample>& samples,
                        const CollateContext& context, std::vector<Sample>& sorted) {
  sorted = samples;
  const auto length = [&](const Sample& sample) { return sequence_of(config, sample).size(0); };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Sample& left, const Sample& right) {
    return length(left) > length(right);
  });
  const at::Tensor first = sequence_of(config, sorted[0]);
  std::vector<int64_t> shape = first.sizes().vec(), lengths;
  shape.insert(shape.begin(), static_cast<int64_t>(sorted.size()));
  const at::Tensor padded = at::zeros(shape, first.options());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const at::Tensor sequence = sequence_of(config, sorted[i]);
    padded[static_cast<int64_t>(i)].narrow(0, 0, sequence.size(0)).copy_(sequence);
    lengths.push_back(sequence.size(0));
  }
  Batch batch;
  batch.fields = {{field_of(config), padded}, {"lengths", at::tensor(lengths, at::kLong)}};
  batch.num_samples = static_cast<int64_t>(sorted.size());
  batch.first_position = context.first_position;
  return batch;
}

void add_encoder_json(const SequenceEncoderConfig& config, common::Json& json) {
  json["input"] = has_tokens(config) ? "tokens" : "features";
  json["cell"] = word(config.cell);
  json["num_layers"] = config.num_layers;
  json["hidden_size"] = config.hidden_size;
  json["bidirectional"] = config.bidirectional;
  json["dropout"] = config.dropout;
  if (has_tokens(config)) {
    json["embedding_size"] = config.embedding_size;
    json["vocab_size"] = config.vocab_size.value();
  } else {
    json["num_features"] = config.num_features;
  }
}

std::string encoder_readme(const SequenceEncoderConfig& config, const std::string& head,
                           int64_t num_outputs, const std::string& result) {
  return c10::str(
      "```python\n"
      "import torch\nfrom safetensors.torch import load_file\n\n"
      "model = torch.nn.ModuleDict({\n",
      has_tokens(config) ? c10::str("    \"embedding\": torch.nn.Embedding(", *config.vocab_size,
                                    ", ", config.embedding_size, "),\n")
                         : "",
      "    \"rnn\": ", torch_module(config.cell), "(", config.input_size(), ", ",
      config.hidden_size, ", ", config.num_layers, torch_options(config.cell),
      config.bidirectional ? ", bidirectional=True" : "",
      ", batch_first=True),\n"
      "    \"",
      head, "\": torch.nn.Linear(", config.output_size(), ", ", num_outputs,
      "),\n})\n"
      "model.load_state_dict(load_file(\"model.safetensors\"))\n"
      "# lengths: of each sequence, on the CPU\n"
      "packed = torch.nn.utils.rnn.pack_padded_sequence(",
      has_tokens(config) ? "model[\"embedding\"](input_ids)" : "features",
      ", lengths, batch_first=True, enforce_sorted=False)\n"
      "_, state = model[\"rnn\"](packed)\n"
      "hidden = state[0] if isinstance(state, tuple) else state\n"
      "last = ",
      config.bidirectional ? "torch.cat([hidden[-2], hidden[-1]], dim=1)" : "hidden[-1]", "\n",
      result, " = model[\"", head, "\"](last)\n```\n");
}

}  // namespace triga::rnn
