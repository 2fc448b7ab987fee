#include "rnn/classifier.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>

#include "common/classification.h"
#include "common/model_json.h"
#include "common/vocabulary.h"
#include "triga/ops.h"

namespace triga::rnn {
namespace {

using common::Json;

const char* field_of(SequenceInput input) {
  return input == SequenceInput::kTokens ? "input_ids" : "features";
}

std::vector<std::pair<std::string, SequenceInput>> input_words() {
  return {{"tokens", SequenceInput::kTokens}, {"features", SequenceInput::kFeatures}};
}

/// Tokens become vectors; the batch becomes a packed sequence: [N, D].
class Input final : public Layer {
 public:
  explicit Input(const ClassifierConfig& config) : input_(config.input), dropout_(config.dropout) {
    if (input_ == SequenceInput::kTokens)
      weight_ = parameter("embedding.weight", {config.vocab_size.value(), config.embedding_size},
                          Init::normal(1));
  }

  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor packed = pack(context.batch()[field_of(input_)], context.batch()["lengths"]);
    if (input_ == SequenceInput::kFeatures) return {{"hidden", packed}};
    return {{"hidden", dropout(embedding(packed, weight_), dropout_, context, "embedding")}};
  }

 private:
  SequenceInput input_;
  double dropout_;
  Parameter weight_;
};

class Head final : public Layer {
 public:
  explicit Head(const ClassifierConfig& config) : dropout_(config.dropout) {
    const int64_t size = config.num_directions() * config.hidden_size;
    const Init init = Init::uniform(1 / std::sqrt(static_cast<double>(size)));
    weight_ = parameter("classifier.weight", {config.num_labels, size}, init);
    bias_ = parameter("classifier.bias", {config.num_labels}, init);
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    return {
        {"logits", linear(dropout(inputs["last"], dropout_, context, "last"), weight_, &bias_)}};
  }

 private:
  double dropout_;
  Parameter weight_, bias_;
};

Json config_json(const ClassifierConfig& config) {
  Json json = {{"model_type", "triga_rnn_classifier"},
               {"input", config.input == SequenceInput::kTokens ? "tokens" : "features"},
               {"num_labels", config.num_labels},
               {"cell", word(config.cell)},
               {"num_layers", config.num_layers},
               {"hidden_size", config.hidden_size},
               {"bidirectional", config.bidirectional},
               {"dropout", config.dropout}};
  if (config.input == SequenceInput::kTokens) {
    json["embedding_size"] = config.embedding_size;
    json["vocab_size"] = config.vocab_size.value();
  } else {
    json["num_features"] = config.num_features;
  }
  return json;
}

/// How to read the directory with PyTorch alone.
std::string readme(const ClassifierConfig& config) {
  const bool has_tokens = config.input == SequenceInput::kTokens;
  return c10::str(
      "A recurrent classifier. With PyTorch and safetensors:\n\n```python\n"
      "import torch\nfrom safetensors.torch import load_file\n\n"
      "model = torch.nn.ModuleDict({\n",
      has_tokens ? c10::str("    \"embedding\": torch.nn.Embedding(", *config.vocab_size, ", ",
                            config.embedding_size, "),\n")
                 : "",
      "    \"rnn\": ", torch_module(config.cell), "(", config.input_size(), ", ",
      config.hidden_size, ", ", config.num_layers, torch_options(config.cell),
      config.bidirectional ? ", bidirectional=True" : "",
      ", batch_first=True),\n"
      "    \"classifier\": torch.nn.Linear(",
      config.num_directions() * config.hidden_size, ", ", config.num_labels,
      "),\n})\n"
      "model.load_state_dict(load_file(\"model.safetensors\"))\n"
      "# lengths: of each sequence, on the CPU\n"
      "packed = torch.nn.utils.rnn.pack_padded_sequence(",
      has_tokens ? "model[\"embedding\"](input_ids)" : "features",
      ", lengths, batch_first=True, enforce_sorted=False)\n"
      "_, state = model[\"rnn\"](packed)\n"
      "hidden = state[0] if isinstance(state, tuple) else state\n"
      "last = ",
      config.bidirectional ? "torch.cat([hidden[-2], hidden[-1]], dim=1)" : "hidden[-1]",
      "\n"
      "logits = model[\"classifier\"](last)\n```\n");
}

}  // namespace

void describe(Fields& fields, ClassifierConfig& config) {
  describe(fields, static_cast<RecurrentConfig&>(config));
  fields.choice("input", config.input, input_words())
      .help("What a sequence is made of: tokens of a text, or vectors of num_features numbers.");
  fields.field("num_labels", config.num_labels)
      .help("Classes to tell apart.")
      .at_least(2)
      .known_as({"num_classes", "n_classes", "output_size"});
  fields.field("embedding_size", config.embedding_size)
      .help("Length of the vector that stands for a token. With input: tokens.")
      .at_least(1)
      .known_as({"emsize", "embedding_dim", "emb_dim"});
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
          "before the classifier.")
      .at_least(0)
      .below(1)
      .known_as({"dropout_p", "dropout_rate"});
}

Classifier::Classifier(const ClassifierConfig& config, const ArchitectureContext& context)
    : config_(config) {
  if (config.input == SequenceInput::kTokens)
    config_.vocab_size = common::vocabulary_size(config.vocab_size, context.tokenizer);
}

std::vector<LayerSpec> Classifier::layers() const {
  const ClassifierConfig config = config_;
  std::vector<LayerSpec> specs;
  specs.push_back({.name = "input",
                   .build = [config] { return std::make_unique<Input>(config); },
                   .writes = {"hidden"}});
  add_recurrent_layers({.cell = config.cell,
                        .num_layers = config.num_layers,
                        .input_size = config.input_size(),
                        .hidden_size = config.hidden_size,
                        .is_bidirectional = config.bidirectional,
                        .dropout = config.dropout,
                        .is_packed = true,
                        .gives_last = true},
                       specs);
  specs.push_back({.name = "classifier",
                   .build = [config] { return std::make_unique<Head>(config); },
                   .reads = {"last"},
                   .writes = {"logits"}});
  return specs;
}

std::unique_ptr<Loss> Classifier::loss() const {
  return std::make_unique<common::ClassificationLoss>();
}

at::Tensor Classifier::sequence_of(const Sample& sample) const {
  const bool has_tokens = config_.input == SequenceInput::kTokens;
  const char* field = has_tokens ? "tokens" : "features";
  if (!sample.contains(field))
    throw DataError(c10::str("a sample has no `", field, "`, which the model reads (input: ",
                             has_tokens ? "tokens" : "features", ")"));
  const at::Tensor& sequence = sample[field];
  const bool fits = has_tokens ? sequence.dim() == 1 && sequence.scalar_type() == at::kLong
                               : sequence.dim() == 2 && sequence.scalar_type() == at::kFloat &&
                                     sequence.size(1) == config_.num_features;
  if (!fits)
    throw DataError(c10::str(
        "a sample's `", field, "` is ", sequence.dtype(), " ", sequence.sizes(),
        "; the model reads ",
        has_tokens ? "one row of int64" : c10::str("float [n, ", config_.num_features, "]")));
  if (sequence.size(0) < 1 || sequence.size(0) > config_.max_length)
    throw DataError(c10::str("a sequence of length ", sequence.size(0),
                             "; the model reads 1 to max_length = ", config_.max_length));
  return sequence;
}

Batch Classifier::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<Sample> sorted = samples;
  const auto length = [&](const Sample& sample) { return sequence_of(sample).size(0); };
  std::stable_sort(sorted.begin(), sorted.end(), [&](const Sample& left, const Sample& right) {
    return length(left) > length(right);
  });
  const at::Tensor first = sequence_of(sorted[0]);
  std::vector<int64_t> shape = first.sizes().vec(), lengths;
  shape.insert(shape.begin(), static_cast<int64_t>(sorted.size()));
  const at::Tensor padded = at::zeros(shape, first.options());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const at::Tensor sequence = sequence_of(sorted[i]);
    padded[static_cast<int64_t>(i)].narrow(0, 0, sequence.size(0)).copy_(sequence);
    lengths.push_back(sequence.size(0));
  }
  Batch batch;
  batch.fields = {{field_of(config_.input), padded},
                  {"lengths", at::tensor(lengths, at::kLong)},
                  {"labels", common::labels_of(sorted, config_.num_labels)}};
  batch.num_samples = static_cast<int64_t>(sorted.size());
  batch.first_position = context.first_position;
  return batch;
}

std::vector<std::unique_ptr<Metric>> Classifier::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(common::classification_accuracy());
  return metrics;
}

ModelDirectory Classifier::model_directory() const {
  return {.files = {{"config.json", config_json(config_).dump(2) + "\n"},
                    {"README.md", readme(config_)}}};
}

void Classifier::check_compatible(const std::map<std::string, std::string>& files) const {
  const Json stored = common::parse_config_json(files, "rnn_classifier", "triga_rnn_classifier");
  common::ConfigComparison compare(stored);
  compare.expect_all(config_json(config_), {"model_type", "dropout"});
  compare.throw_if_any();
}

}  // namespace triga::rnn
