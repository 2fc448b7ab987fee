#include "bigram.h"

#include <ATen/ATen.h>

#include "triga/ops.h"

namespace triga::plugin_my_plugin {
namespace {

constexpr int64_t kNoLabel = -100;  // where there is nothing to guess
constexpr double kInitialSize = 0.1;

/// A layer declares its parameters in the constructor, under the names that they have in a
/// checkpoint; the core gives them memory and values. forward() is a pure function of inputs,
/// parameters, batch and context.
class Embedding final : public Layer {
 public:
  Embedding(const BigramConfig& config, int64_t vocab_size)
      : dropout_(config.dropout),
        weight_(parameter("embedding.weight", {vocab_size, config.hidden_size},
                          Init::normal(kInitialSize))) {}

  Activations forward(const Activations& /*inputs*/, LayerContext& context) override {
    const at::Tensor hidden = embedding(context.batch()["input_ids"], weight_);  // [B, T, hidden]
    return {{"hidden", dropout(hidden, dropout_, context, "hidden")}};
  }

 private:
  double dropout_;
  Parameter weight_;
};

class Head final : public Layer {
 public:
  Head(const BigramConfig& config, int64_t vocab_size)
      : weight_(parameter("head.weight", {vocab_size, config.hidden_size},
                          Init::normal(kInitialSize))) {}

  Activations forward(const Activations& inputs, LayerContext& /*context*/) override {
    return {{"logits", linear(inputs["hidden"], weight_, /*bias=*/nullptr)}};  // [B, T, vocabulary]
  }

 private:
  Parameter weight_;
};

/// A loss is a sum and a count, never a mean: the core divides by the count of all ranks and
/// microbatches. The count needs no forward pass.
class NextToken final : public Loss {
 public:
  double count(const Batch& batch, std::string_view /*name*/) const override {
    return batch["labels"].ne(kNoLabel).sum().item<double>();
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return cross_entropy_sum(outputs["logits"].flatten(0, 1), batch["labels"].flatten(), kNoLabel);
  }
};

}  // namespace

void describe(Fields& fields, BigramConfig& config) {
  fields.field("context_length", config.context_length)
      .help("Tokens of a sample.")
      .unit("tokens")
      .at_least(1)
      .known_as({"block_size", "seq_len"});  // never accepted; whoever writes it is told our name
  fields.field("hidden_size", config.hidden_size).help("Width of a token's vector.").at_least(1);
  fields.field("dropout", config.dropout)
      .help("Share of the vectors' elements that training leaves out.")
      .at_least(0)
      .below(1);
}

Bigram::Bigram(const BigramConfig& config, const ArchitectureContext& context) : config_(config) {
  if (context.tokenizer == nullptr)
    throw ConfigError("kind bigram needs a tokenizer: set data.tokenizer");
  vocab_size_ = context.tokenizer->vocab_size();
}

/// The model in order. A layer says what it reads and writes, so that the core may put it on any
/// rank.
std::vector<LayerSpec> Bigram::layers() const {
  const auto embed = [config = config_, size = vocab_size_] {
    return std::make_unique<Embedding>(config, size);
  };
  const auto head = [config = config_, size = vocab_size_] {
    return std::make_unique<Head>(config, size);
  };
  return {{.name = "embedding", .build = embed, .writes = {"hidden"}},
          {.name = "head", .build = head, .reads = {"hidden"}, .writes = {"logits"}}};
}

std::unique_ptr<Loss> Bigram::loss() const {
  return std::make_unique<NextToken>();
}

/// Samples {"tokens": int64 [n]} become inputs and labels, padded on the right, where nothing is to
/// be guessed.
Batch Bigram::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<at::Tensor> inputs, labels;
  for (const Sample& sample : samples) {
    const at::Tensor& tokens = sample["tokens"];
    const int64_t padding = config_.context_length - (tokens.size(0) - 1);
    inputs.push_back(at::constant_pad_nd(tokens.slice(0, 0, -1), {0, padding}, 0));
    labels.push_back(at::constant_pad_nd(tokens.slice(0, 1), {0, padding}, kNoLabel));
  }
  Batch batch;
  batch.fields = {{"input_ids", at::stack(inputs)}, {"labels", at::stack(labels)}};
  batch.num_samples = static_cast<int64_t>(samples.size());
  batch.first_position = context.first_position;
  return batch;
}

/// No library owns this model, so a checkpoint says how to read it.
ModelDirectory Bigram::model_directory() const {
  return {.files = {{"README.md",
                     "    from safetensors.torch import load_file\n"
                     "    weights = load_file(\"model.safetensors\")\n"
                     "    logits = weights[\"head.weight\"] @ "
                     "weights[\"embedding.weight\"][last_token]\n"}}};
}

/// Whether a directory's weights fit is seen by their names and shapes; there is no more to compare.
void Bigram::check_compatible(const std::map<std::string, std::string>& /*files*/) const {}

}  // namespace triga::plugin_my_plugin
