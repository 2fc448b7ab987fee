#include "transformer/vit.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/stack.h>
#include <c10/util/StringUtil.h>

#include "common/classification.h"
#include "transformer/modules.h"
#include "triga/ops.h"

namespace triga::transformer {
namespace {

/// pixel_values [B, C, H, W] -> hidden [B * (1 + patches), D].
class Embedding final : public Layer {
 public:
  explicit Embedding(const VitConfig& config)
      : patch_size_(config.patch_size), dropout_(config.dropout) {
    const Init init = Init::normal(config.initializer_range);
    const std::string prefix = "vit.embeddings.";
    const int64_t width = config.hidden_size;
    cls_token_ = parameter(prefix + "cls_token", {1, 1, width}, init);
    position_ =
        parameter(prefix + "position_embeddings", {1, 1 + config.num_patches(), width}, init);
    weight_ = parameter(prefix + "patch_embeddings.projection.weight",
                        {width, config.num_channels, patch_size_, patch_size_}, init);
    bias_ = parameter(prefix + "patch_embeddings.projection.bias", {width}, Init::zeros());
  }

  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor pixels = context.batch()["pixel_values"].to(weight_->scalar_type());
    const std::vector<int64_t> stride = {patch_size_, patch_size_};
    const at::Tensor patches_BTD =
        at::conv2d(pixels, weight_.tensor(), bias_.tensor(), stride).flatten(2).transpose(1, 2);
    const at::Tensor cls = cls_token_->expand({pixels.size(0), -1, -1});
    // The residual stream stays fp32.
    const at::Tensor hidden =
        at::cat({cls, patches_BTD}, 1).to(at::kFloat) + position_->to(at::kFloat);
    return {{"hidden", dropout(hidden.flatten(0, 1), dropout_, context, "embedding")}};
  }

 private:
  int64_t patch_size_;
  double dropout_;
  Parameter cls_token_, position_, weight_, bias_;
};

/// hidden -> hidden: x + attention(layernorm_before(x)), then x + mlp(layernorm_after(x)).
class Block final : public Layer {
 public:
  Block(const VitConfig& config, int64_t index)
      : num_heads_(config.num_heads),
        dropout_(config.dropout),
        attention_dropout_(config.attention_dropout) {
    const std::string prefix = c10::str("vit.encoder.layer.", index, ".");
    const Declare declare = [this](auto name, auto shape, Init init) {
      return parameter(std::move(name), std::move(shape), init);
    };
    const auto norm = [&](const char* name) {
      return declare_norm(declare, prefix + name, config.hidden_size, config.layer_norm_epsilon);
    };
    const auto dense = [&](const char* name, int64_t in, int64_t out) {
      return declare_dense(declare, prefix + name, in, out, config.initializer_range);
    };
    const int64_t width = config.hidden_size, inner = config.intermediate_size;
    before_ = norm("layernorm_before");
    query_ = dense("attention.attention.query", width, width);
    key_ = dense("attention.attention.key", width, width);
    value_ = dense("attention.attention.value", width, width);
    attention_output_ = dense("attention.output.dense", width, width);
    after_ = norm("layernorm_after");
    intermediate_ = dense("intermediate.dense", width, inner);
    output_ = dense("output.dense", inner, width);
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    const at::Tensor& x_ND = inputs["hidden"];
    const at::Tensor normal_ND = before_(x_ND);
    const at::Tensor mixed_ND = attention(query_(normal_ND), key_(normal_ND), value_(normal_ND),
                                          context.batch()["pixel_values"].size(0), num_heads_, {},
                                          attention_dropout_, context);
    const at::Tensor attended_ND =
        dropout_add(x_ND, attention_output_(mixed_ND), dropout_, context, "attention_output");
    const at::Tensor inner = at::gelu(intermediate_(after_(attended_ND)));
    return {{"hidden", dropout_add(attended_ND, output_(inner), dropout_, context, "mlp_output")}};
  }

 private:
  int64_t num_heads_;
  double dropout_, attention_dropout_;
  LayerNorm before_, after_;
  Dense query_, key_, value_, attention_output_, intermediate_, output_;
};

/// hidden -> logits [B, num_labels]: of the first place, which stands for the whole image.
class Head final : public Layer {
 public:
  explicit Head(const VitConfig& config) {
    const Declare declare = [this](auto name, auto shape, Init init) {
      return parameter(std::move(name), std::move(shape), init);
    };
    norm_ = declare_norm(declare, "vit.layernorm", config.hidden_size, config.layer_norm_epsilon);
    classifier_ = declare_dense(declare, "classifier", config.hidden_size, config.num_labels,
                                config.initializer_range);
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    const int64_t batch = context.batch()["pixel_values"].size(0);
    const at::Tensor& hidden = inputs["hidden"];
    const at::Tensor first_BD = hidden.view({batch, -1, hidden.size(1)}).select(1, 0);
    return {{"logits", classifier_(norm_(first_BD))}};
  }

 private:
  LayerNorm norm_;
  Dense classifier_;
};

/// Moved by (down, right) pixels, black behind it.
at::Tensor shifted(const at::Tensor& image, int64_t shift, int64_t down, int64_t right) {
  const at::Tensor padded = at::constant_pad_nd(image, {shift, shift, shift, shift});
  return padded.narrow(1, shift - down, image.size(1)).narrow(2, shift - right, image.size(2));
}

}  // namespace

std::vector<LayerSpec> Vit::layers() const {
  const VitConfig config = config_;
  std::vector<LayerSpec> specs;
  specs.push_back({.name = "embedding",
                   .build = [config] { return std::make_unique<Embedding>(config); },
                   .writes = {"hidden"}});
  for (int64_t i = 0; i < config.num_layers; ++i)
    specs.push_back({.name = c10::str("layer.", i),
                     .build = [config, i] { return std::make_unique<Block>(config, i); },
                     .reads = {"hidden"},
                     .writes = {"hidden"}});
  specs.push_back({.name = "classifier",
                   .build = [config] { return std::make_unique<Head>(config); },
                   .reads = {"hidden"},
                   .writes = {"logits"}});
  return specs;
}

std::unique_ptr<Loss> Vit::loss() const {
  return std::make_unique<common::ClassificationLoss>();
}

at::Tensor Vit::image_of(const Sample& sample) const {
  const at::Tensor& image = sample["image"];
  const std::vector<int64_t> shape = {config_.num_channels, config_.image_size, config_.image_size};
  if (image.sizes() != at::IntArrayRef(shape) || image.scalar_type() != at::kByte)
    throw DataError(c10::str("an image is ", image.dtype(), " ", image.sizes(),
                             ", but the model reads bytes ", at::IntArrayRef(shape),
                             " (num_channels, image_size, image_size)"));
  return image;
}

Batch Vit::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<at::Tensor> images;
  for (size_t i = 0; i < samples.size(); ++i) {
    at::Tensor image = image_of(samples[i]);
    RandomStream random = context.random(static_cast<int64_t>(i), "augmentation");
    if (context.training && config_.shift > 0) {
      const int64_t down = random.below(2 * config_.shift + 1) - config_.shift;
      const int64_t right = random.below(2 * config_.shift + 1) - config_.shift;
      image = shifted(image, config_.shift, down, right);
    }
    if (context.training && config_.flip && random.below(2) == 1) image = image.flip(2);
    images.push_back(image.to(at::kFloat) / 127.5 - 1);
  }
  Batch batch;
  batch.fields = {{"pixel_values", at::stack(images)},
                  {"labels", common::labels_of(samples, config_.num_labels)}};
  batch.num_samples = static_cast<int64_t>(samples.size());
  batch.first_position = context.first_position;
  return batch;
}

std::vector<std::unique_ptr<Metric>> Vit::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(common::classification_accuracy());
  return metrics;
}

}  // namespace triga::transformer
