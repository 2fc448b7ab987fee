#include "diffusion/unet.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/alias.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/upsample_nearest2d.h>
#include <c10/util/StringUtil.h>

namespace triga::diffusion {
namespace {

PartOptions part_options(const UnetConfig& config) {
  return {.time_embedding_size = 4 * config.block_out_channels[0],
          .num_groups = config.norm_num_groups,
          .norm_epsilon = config.norm_eps,
          .dropout = config.dropout,
          .head_size = config.attention_head_dim};
}

/// A layer whose parts declare its parameters.
class UnetLayer : public Layer {
 protected:
  Declare declare() {
    return [this](std::string name, std::vector<int64_t> shape, Init init) {
      return parameter(std::move(name), std::move(shape), init);
    };
  }
};

/// Image and timestep -> skip.0 and time.
class Input final : public UnetLayer {
 public:
  explicit Input(const UnetConfig& config)
      : sinusoids_{config.block_out_channels[0], config.freq_shift, config.flip_sin_to_cos},
        convolution_(declare(), "conv_in", config.in_channels, config.block_out_channels[0], 3, 1,
                     1),
        first_(declare(), "time_embedding.linear_1", config.block_out_channels[0],
               4 * config.block_out_channels[0]),
        second_(declare(), "time_embedding.linear_2", 4 * config.block_out_channels[0],
                4 * config.block_out_channels[0]) {}

  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor time_BE = sinusoids(context.batch()["timesteps"], sinusoids_);
    const at::Tensor embedded_BE = second_(at::silu(first_(time_BE.to(first_.type()))));
    // Every block begins with the SiLU of it.
    return {{"skip.0", convolution_(context.batch()["noisy"].to(convolution_.type()))},
            {"time", at::silu(embedded_BE)}};
  }

 private:
  SinusoidOptions sinusoids_;
  Convolution convolution_;
  Projection first_, second_;
};

struct BlockPlan {
  std::string block;  // "down_blocks.0"
  int64_t index = 0;  // of the residual block in it
  int64_t in = 0, out = 0;
  bool has_attention = false;
  std::string reads;      // the activation that goes on
  std::string skip = {};  // that is put beside it; "" on the way down
  std::string writes = {};
  bool is_last = false;  // nobody needs the time after it
};

/// A residual block and its attention.
class Block final : public UnetLayer {
 public:
  Block(const UnetConfig& config, const BlockPlan& plan)
      : plan_(plan),
        resnet_(declare(), c10::str(plan.block, ".resnets.", plan.index), plan.in, plan.out,
                part_options(config)) {
    if (plan.has_attention)
      attention_.emplace(declare(), c10::str(plan.block, ".attentions.", plan.index), plan.out,
                         part_options(config));
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    // Each input is used once, so that the sum of its gradients does not depend on the cut.
    const at::Tensor x_BCHW = plan_.skip.empty()
                                  ? at::alias(inputs[plan_.reads])
                                  : at::cat({inputs[plan_.reads], inputs[plan_.skip]}, 1);
    at::Tensor y_BCHW = resnet_(x_BCHW, inputs["time"], context);
    if (attention_) y_BCHW = (*attention_)(y_BCHW);
    Activations outputs = {{plan_.writes, y_BCHW}};
    if (!plan_.is_last) outputs.set("time", at::alias(inputs["time"]));
    return outputs;
  }

 private:
  BlockPlan plan_;
  ResnetBlock resnet_;
  std::optional<PixelAttention> attention_;
};

/// The lowest part: residual block, attention, residual block.
class Middle final : public UnetLayer {
 public:
  Middle(const UnetConfig& config, std::string reads)
      : reads_(std::move(reads)),
        first_(declare(), "mid_block.resnets.0", channels(config), channels(config),
               part_options(config)),
        second_(declare(), "mid_block.resnets.1", channels(config), channels(config),
                part_options(config)) {
    if (config.add_attention)
      attention_.emplace(declare(), "mid_block.attentions.0", channels(config),
                         part_options(config));
  }

  Activations forward(const Activations& inputs, LayerContext& context) override {
    at::Tensor x_BCHW = first_(at::alias(inputs[reads_]), inputs["time"], context);
    if (attention_) x_BCHW = (*attention_)(x_BCHW);
    return {{"hidden", second_(x_BCHW, inputs["time"], context)},
            {"time", at::alias(inputs["time"])}};
  }

 private:
  static int64_t channels(const UnetConfig& config) { return config.block_out_channels.back(); }

  std::string reads_;
  ResnetBlock first_, second_;
  std::optional<PixelAttention> attention_;
};

/// Half the size, by a convolution of stride 2.
class Down final : public UnetLayer {
 public:
  Down(const UnetConfig& config, const BlockPlan& plan)
      : plan_(plan),
        is_padded_behind_(config.downsample_padding == 0),
        convolution_(declare(), plan.block + ".downsamplers.0.conv", plan.out, plan.out, 3, 2,
                     config.downsample_padding) {}

  Activations forward(const Activations& inputs, LayerContext&) override {
    const at::Tensor& x_BCHW = inputs[plan_.reads];
    return {{plan_.writes,
             convolution_(is_padded_behind_ ? at::constant_pad_nd(x_BCHW, {0, 1, 0, 1}) : x_BCHW)}};
  }

 private:
  BlockPlan plan_;
  bool is_padded_behind_;
  Convolution convolution_;
};

/// Twice the size: each pixel four times, then a convolution.
class Up final : public UnetLayer {
 public:
  explicit Up(const BlockPlan& plan)
      : convolution_(declare(), plan.block + ".upsamplers.0.conv", plan.out, plan.out, 3, 1, 1) {}

  Activations forward(const Activations& inputs, LayerContext&) override {
    const at::Tensor& x_BCHW = inputs["hidden"];
    return {{"hidden", convolution_(at::upsample_nearest2d(
                           x_BCHW, {2 * x_BCHW.size(2), 2 * x_BCHW.size(3)}))}};
  }

 private:
  Convolution convolution_;
};

class Output final : public UnetLayer {
 public:
  explicit Output(const UnetConfig& config)
      : norm_(declare(), "conv_norm_out", config.block_out_channels[0], part_options(config)),
        convolution_(declare(), "conv_out", config.block_out_channels[0], config.in_channels, 3, 1,
                     1) {}

  Activations forward(const Activations& inputs, LayerContext&) override {
    return {{"prediction", convolution_(at::silu(norm_(inputs["hidden"])))}};
  }

 private:
  GroupNorm norm_;
  Convolution convolution_;
};

/// Makes the list, one part after the other.
class Plan {
 public:
  explicit Plan(const UnetConfig& config) : config_(config) {}

  std::vector<LayerSpec> layers() {
    add("conv_in", [config = config_] { return std::make_unique<Input>(config); }, {},
        {"skip.0", "time"});
    skips_.push_back(config_.block_out_channels[0]);
    for (size_t i = 0; i < config_.block_out_channels.size(); ++i) add_down(i);
    add("mid_block",
        [config = config_, skip = last_skip()] { return std::make_unique<Middle>(config, skip); },
        {last_skip(), "time"}, {"hidden", "time"});
    hidden_channels_ = config_.block_out_channels.back();
    for (size_t i = 0; i < config_.block_out_channels.size(); ++i) add_up(i);
    add("conv_out", [config = config_] { return std::make_unique<Output>(config); }, {"hidden"},
        {"prediction"});
    return std::move(specs_);
  }

 private:
  template <class Build>
  void add(std::string name, Build build, std::vector<std::string> reads,
           std::vector<std::string> writes) {
    specs_.push_back({.name = std::move(name),
                      .build = std::move(build),
                      .reads = std::move(reads),
                      .writes = std::move(writes),
                      .component = "unet"});
  }

  std::string last_skip() const { return c10::str("skip.", skips_.size() - 1); }

  void add_block(const BlockPlan& plan) {
    std::vector<std::string> reads = {plan.reads, "time"}, writes = {plan.writes};
    if (!plan.skip.empty()) reads.push_back(plan.skip);
    if (!plan.is_last) writes.emplace_back("time");
    add(
        c10::str(plan.block, ".", plan.index),
        [config = config_, plan] { return std::make_unique<Block>(config, plan); }, reads, writes);
  }

  void add_down(size_t i) {
    BlockPlan plan;
    plan.block = c10::str("down_blocks.", i);
    plan.out = config_.block_out_channels[i];
    plan.has_attention = config_.down_block_types[i] == "AttnDownBlock2D";
    for (plan.index = 0; plan.index < config_.layers_per_block; ++plan.index) {
      plan.in = skips_.back();
      plan.reads = last_skip();
      skips_.push_back(plan.out);
      plan.writes = last_skip();
      add_block(plan);
    }
    if (i + 1 == config_.block_out_channels.size()) return;
    plan.reads = last_skip();
    skips_.push_back(plan.out);
    plan.writes = last_skip();
    add(plan.block + ".down",
        [config = config_, plan] { return std::make_unique<Down>(config, plan); }, {plan.reads},
        {plan.writes});
  }

  void add_up(size_t i) {
    const size_t num_blocks = config_.block_out_channels.size();
    BlockPlan plan;
    plan.block = c10::str("up_blocks.", i);
    plan.out = config_.block_out_channels[num_blocks - 1 - i];
    plan.has_attention = config_.up_block_types[i] == "AttnUpBlock2D";
    plan.reads = plan.writes = "hidden";
    for (plan.index = 0; plan.index <= config_.layers_per_block; ++plan.index) {
      plan.in = hidden_channels_ + skips_.back();
      plan.skip = last_skip();
      skips_.pop_back();
      plan.is_last = skips_.empty();
      add_block(plan);
      hidden_channels_ = plan.out;
    }
    if (i + 1 < num_blocks)
      add(plan.block + ".up", [plan] { return std::make_unique<Up>(plan); }, {"hidden"},
          {"hidden"});
  }

  const UnetConfig& config_;
  std::vector<LayerSpec> specs_;
  std::vector<int64_t> skips_;  // channels of skip.0, skip.1 ... that are still to be read
  int64_t hidden_channels_ = 0;
};

}  // namespace

std::vector<LayerSpec> unet_layers(const UnetConfig& config) {
  return Plan(config).layers();
}

}  // namespace triga::diffusion
