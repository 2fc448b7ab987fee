#include "tests/support/encoder_decoder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "triga/ops.h"
#include "triga/sequence_state.h"

namespace triga::test {
namespace {

// B batch, S source places, T target places, D width.

constexpr int64_t kNoLabel = -100;

Init weight_init(int64_t width) {
  return Init::normal(1 / std::sqrt(double(width)));
}

/// softmax(q k^T / sqrt(D)) v, where `visible` [B, 1, S] or undefined says which keys count.
at::Tensor attend(const at::Tensor& query, const at::Tensor& memory, const at::Tensor& visible) {
  auto scores = query.matmul(memory.transpose(1, 2)) / std::sqrt(double(query.size(-1)));
  if (visible.defined()) scores = scores.masked_fill(visible.logical_not(), -1e9);
  return scores.softmax(-1).matmul(memory);
}

class Embedding final : public Layer {
 public:
  Embedding(const EncoderDecoderConfig& config, std::string field, std::string output)
      : field_(std::move(field)),
        output_(std::move(output)),
        dropout_(config.dropout),
        weight_(parameter(output_ + ".weight", {config.vocab_size, config.width},
                          weight_init(config.width))) {}

  Activations forward(const Activations&, LayerContext& context) override {
    const auto& ids = context.batch()[field_];
    Activations written = {
        {output_, dropout(at::embedding(weight_, ids), dropout_, context, "embedding")}};
    if (output_ == "source") {
      const auto places = at::arange(ids.size(1), ids.options());
      written.set("source_mask",
                  places.lt(context.batch()["source_lengths"].unsqueeze(1)).unsqueeze(1));
    }
    return written;
  }

 private:
  std::string field_, output_;
  double dropout_;
  Parameter weight_;
};

/// Frozen: adds a feature of each token, and says which feature it was.
class Features final : public Layer {
 public:
  explicit Features(const EncoderDecoderConfig& config)
      : table_(parameter("features.table.weight", {3, config.width}, Init::uniform(0.1))) {}

  Activations forward(const Activations& inputs, LayerContext& context) override {
    const auto feature = context.batch()["source_ids"].remainder(3);
    return {{"source", inputs["source"] + at::embedding(table_, feature)}, {"feature", feature}};
  }

 private:
  Parameter table_;
};

class EncoderBlock final : public Layer {
 public:
  EncoderBlock(const EncoderDecoderConfig& config, int64_t index)
      : is_first_(index == 0),
        config_(config),
        weight_(parameter(c10::str("encoder.", index, ".weight"), {config.width, config.width},
                          weight_init(config.width))) {}

  Activations forward(const Activations& inputs, LayerContext& context) override {
    const auto& source = inputs["source"];
    const auto& mask = inputs["source_mask"];
    const auto mixed = attend(source, source, mask).matmul(weight_).tanh();
    const auto hidden = source + dropout(mixed, config_.dropout, context, "mixed");
    if (is_first_) return {{"source", hidden}, {"skip", mixed}};
    const auto real = mask.transpose(1, 2).to(hidden.scalar_type());  // [B, S, 1]
    context.add_loss("sparsity", (hidden.square() * real).sum() / double(config_.width),
                     config_.auxiliary_weight);
    return {{"source", hidden}};
  }

 private:
  bool is_first_;
  EncoderDecoderConfig config_;
  Parameter weight_;
};

class RunningNorm final : public Layer {
 public:
  explicit RunningNorm(const EncoderDecoderConfig& config)
      : scale_(parameter("encoder.norm.weight", {config.width}, Init::ones())),
        mean_(buffer("encoder.norm.running_mean", {config.width}, Init::zeros())) {}

  Activations forward(const Activations& inputs, LayerContext& context) override {
    const auto& source = inputs["source"];
    const auto real = inputs["source_mask"].transpose(1, 2).to(source.scalar_type());
    context.add_statistic("mean", (source * real).flatten(0, 1).sum(0), real.sum().item<double>());
    const auto offset = inputs["feature"].unsqueeze(-1).to(source.scalar_type()) * 0.01;
    return {{"memory", (source - mean_.tensor()) * scale_.tensor() + offset}};
  }

  void apply_statistics(const std::vector<StepStatistic>& totals) override {
    for (const auto& total : totals) mean_.tensor().lerp_(total.sum / total.count, 0.1);
  }

 private:
  Parameter scale_, mean_;
};

class DecoderBlock final : public Layer {
 public:
  DecoderBlock(const EncoderDecoderConfig& config, int64_t index)
      : index_(index),
        dropout_(config.dropout),
        weight_(parameter(c10::str("decoder.", index, ".weight"), {config.width, config.width},
                          weight_init(config.width))) {}

  Activations forward(const Activations& inputs, LayerContext& context) override {
    auto target = inputs["target"];
    if (index_ == 0) target = with_carried_state(target, context);
    auto mixed = attend(target, inputs["memory"], inputs["source_mask"]).matmul(weight_);
    if (index_ == 1) mixed = mixed + inputs["skip"].mean(1, /*keepdim=*/true);
    return {{"target", target + dropout(mixed.tanh(), dropout_, context, "mixed")}};
  }

 private:
  /// The running sum of the targets so far, as a recurrent layer would have it, from where the last
  /// call ended.
  at::Tensor with_carried_state(const at::Tensor& target, LayerContext& context) const {
    auto running = target.cumsum(1) * 0.1;
    if (auto* state = context.sequence_state()) {
      const auto carried = state->get("decoder.0", "running");
      if (carried.defined()) running = running + carried.unsqueeze(1);
      state->set("decoder.0", "running", running.detach().select(1, -1));
    }
    return target + running;
  }

  int64_t index_;
  double dropout_;
  Parameter weight_;
};

class Head final : public Layer {
 public:
  explicit Head(const EncoderDecoderConfig& config)
      : weight_(parameter("target.weight", {config.vocab_size, config.width},
                          weight_init(config.width))) {}

  Activations forward(const Activations& inputs, LayerContext&) override {
    return {{"logits", inputs["target"].matmul(weight_->t())}};
  }

 private:
  Parameter weight_;
};

class SequenceLoss final : public Loss {
 public:
  std::vector<std::string> auxiliary_names() const override { return {"sparsity"}; }
  double count(const Batch& batch, std::string_view name) const override {
    return name == "sparsity" ? batch["source_lengths"].sum().item<double>()
                              : batch["labels"].ne(kNoLabel).sum().item<double>();
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::cross_entropy_loss(outputs["logits"].flatten(0, 1), batch["labels"].flatten(), {},
                                  at::Reduction::Sum, kNoLabel);
  }
};

/// Rows of different lengths in one tensor.
at::Tensor padded(const std::vector<at::Tensor>& rows, int64_t padding) {
  int64_t longest = 0;
  for (const auto& row : rows) longest = std::max(longest, row.size(0));
  auto table = at::full({int64_t(rows.size()), longest}, padding, at::kLong);
  for (size_t i = 0; i < rows.size(); ++i)
    table[int64_t(i)].narrow(0, 0, rows[i].size(0)).copy_(rows[i]);
  return table;
}

}  // namespace

std::vector<LayerSpec> EncoderDecoder::layers() const {
  const auto config = config_;
  std::vector<LayerSpec> specs = {
      {"source_embedding",
       [config] { return std::make_unique<Embedding>(config, "source_ids", "source"); },
       {},
       {"source", "source_mask"}},
      {"features",
       [config] { return std::make_unique<Features>(config); },
       {"source"},
       {"source", "feature"},
       "features",
       /*frozen=*/true},
      {"encoder.0",
       [config] { return std::make_unique<EncoderBlock>(config, 0); },
       {"source", "source_mask"},
       {"source", "skip"}},
      {"encoder.1",
       [config] { return std::make_unique<EncoderBlock>(config, 1); },
       {"source", "source_mask"},
       {"source"}},
      {"encoder_norm",
       [config] { return std::make_unique<RunningNorm>(config); },
       {"source", "source_mask", "feature"},
       {"memory"}},
      {"target_embedding",
       [config] { return std::make_unique<Embedding>(config, "target_ids", "target"); },
       {},
       {"target"}},
      {"decoder.0",
       [config] { return std::make_unique<DecoderBlock>(config, 0); },
       {"target", "memory", "source_mask"},
       {"target"}},
      {"decoder.1",
       [config] { return std::make_unique<DecoderBlock>(config, 1); },
       {"target", "memory", "source_mask", "skip"},
       {"target"}},
      {"head", [config] { return std::make_unique<Head>(config); }, {"target"}, {"logits"}},
  };
  return specs;
}

std::unique_ptr<Loss> EncoderDecoder::loss() const {
  return std::make_unique<SequenceLoss>();
}

Batch EncoderDecoder::collate(const std::vector<Sample>& samples,
                              const CollateContext& context) const {
  std::vector<at::Tensor> sources, inputs, labels;
  std::vector<int64_t> lengths;
  for (const auto& sample : samples) {
    const auto& target = sample["target"];
    sources.push_back(sample["source"]);
    lengths.push_back(sources.back().size(0));
    inputs.push_back(target.narrow(0, 0, target.size(0) - 1));
    labels.push_back(target.narrow(0, 1, target.size(0) - 1));
  }
  Batch batch;
  batch.fields = {{"source_ids", padded(sources, 0)},
                  {"source_lengths", at::tensor(lengths, at::kLong)},
                  {"target_ids", padded(inputs, 0)},
                  {"labels", padded(labels, kNoLabel)}};
  batch.num_samples = static_cast<int64_t>(samples.size());
  batch.first_position = context.first_position;
  return batch;
}

ModelDirectory EncoderDecoder::model_directory() const {
  return {.files = {{"README.md", "An encoder-decoder of Triga's tests.\n"}},
          .components = {{}, {.component = "features", .folder = "features"}}};
}

void EncoderDecoder::check_compatible(const std::map<std::string, std::string>&) const {}

Sample encoder_decoder_sample(int64_t index, const EncoderDecoderConfig& config) {
  RandomStream random(RandomKey(17).with("encoder_decoder_sample"), static_cast<uint64_t>(index));
  const auto source = at::empty({2 + random.below(8)}, at::kLong);
  for (int64_t i = 0; i < source.size(0); ++i) source[i] = 1 + random.below(config.vocab_size - 1);
  const auto length = 3 + random.below(6);
  const auto target = at::zeros({length}, at::kLong);  // begins with 0
  for (int64_t i = 1; i < length; ++i)
    target[i] = source[source.size(0) - 1 - (i - 1) % source.size(0)];
  return {{"source", source}, {"target", target}};
}

}  // namespace triga::test
