#include "tests/support/small_unet.h"

#include <ATen/ATen.h>

#include <cmath>

#include "triga/ops.h"

namespace triga::test {
namespace {

constexpr int64_t kChannels = 6;
constexpr double kDropout = 0.1;

/// Convolution of 3 x 3, group normalisation, SiLU, dropout.
class Convolution {
 public:
  template <class Declare>
  Convolution(const Declare& declare, const std::string& name, int64_t in, int64_t out)
      : weight_(declare(name + ".weight", std::vector<int64_t>{out, in, 3, 3},
                        Init::uniform(1 / std::sqrt(9.0 * static_cast<double>(in))))),
        bias_(declare(name + ".bias", std::vector<int64_t>{out}, Init::zeros())),
        scale_(declare(name + ".norm.weight", std::vector<int64_t>{out}, Init::ones())),
        shift_(declare(name + ".norm.bias", std::vector<int64_t>{out}, Init::zeros())) {}

  at::Tensor operator()(const at::Tensor& x, const LayerContext& context,
                        const char* call_site) const {
    const at::Tensor y = at::conv2d(x, weight_.tensor(), bias_.tensor(), 1, 1);
    return dropout(at::silu(at::group_norm(y, 2, scale_.tensor(), shift_.tensor())), kDropout,
                   context, call_site);
  }

 private:
  Parameter weight_, bias_, scale_, shift_;
};

class Part : public Layer {
 protected:
  auto declare() {
    return [this](std::string name, std::vector<int64_t> shape, Init init) {
      return parameter(std::move(name), std::move(shape), init);
    };
  }
};

class Down final : public Part {
 public:
  explicit Down(int64_t index)
      : index_(index),
        convolution_(declare(), c10::str("down.", index), index == 0 ? 1 : kChannels, kChannels) {}
  Activations forward(const Activations& inputs, LayerContext& context) override {
    const at::Tensor& x = index_ == 0 ? context.batch()["noisy"] : inputs["hidden"];
    const at::Tensor y = convolution_(x, context, "convolution");
    return {{c10::str("skip.", index_), y}, {"hidden", at::avg_pool2d(y, 2)}};
  }

 private:
  int64_t index_;
  Convolution convolution_;
};

class Middle final : public Part {
 public:
  explicit Middle(int64_t index)
      : convolution_(declare(), c10::str("middle.", index), kChannels, kChannels) {}
  Activations forward(const Activations& inputs, LayerContext& context) override {
    return {{"hidden", inputs["hidden"] + convolution_(inputs["hidden"], context, "convolution")}};
  }

 private:
  Convolution convolution_;
};

class Up final : public Part {
 public:
  explicit Up(int64_t index)
      : index_(index), convolution_(declare(), c10::str("up.", index), 2 * kChannels, kChannels) {}
  Activations forward(const Activations& inputs, LayerContext& context) override {
    const at::Tensor& skip = inputs[c10::str("skip.", index_)];
    const at::Tensor larger =
        at::upsample_nearest2d(inputs["hidden"], {skip.size(2), skip.size(3)});
    return {{"hidden", convolution_(at::cat({larger, skip}, 1), context, "convolution")}};
  }

 private:
  int64_t index_;
  Convolution convolution_;
};

class Out final : public Part {
 public:
  Out()
      : weight_(parameter("out.weight", {1, kChannels, 1, 1}, Init::uniform(0.4))),
        bias_(parameter("out.bias", {1}, Init::zeros())) {}
  Activations forward(const Activations& inputs, LayerContext&) override {
    return {{"image", at::conv2d(inputs["hidden"], weight_.tensor(), bias_.tensor())}};
  }

 private:
  Parameter weight_, bias_;
};

class SquaredError final : public Loss {
 public:
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch["clean"].numel());
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::mse_loss(outputs["image"], batch["clean"], at::Reduction::Sum);
  }
};

template <class Made>
LayerSpec spec(const std::string& name, int64_t index, std::vector<std::string> reads,
               std::vector<std::string> writes) {
  return {c10::str(name, ".", index), [index] { return std::make_unique<Made>(index); },
          std::move(reads), std::move(writes)};
}

}  // namespace

std::vector<LayerSpec> SmallUnet::layers() const {
  return {spec<Down>("down", 0, {}, {"skip.0", "hidden"}),
          spec<Down>("down", 1, {"hidden"}, {"skip.1", "hidden"}),
          spec<Middle>("middle", 0, {"hidden"}, {"hidden"}),
          spec<Middle>("middle", 1, {"hidden"}, {"hidden"}),
          spec<Middle>("middle", 2, {"hidden"}, {"hidden"}),
          spec<Up>("up", 1, {"hidden", "skip.1"}, {"hidden"}),
          spec<Up>("up", 0, {"hidden", "skip.0"}, {"hidden"}),
          {"out", [] { return std::make_unique<Out>(); }, {"hidden"}, {"image"}}};
}

std::unique_ptr<Loss> SmallUnet::loss() const {
  return std::make_unique<SquaredError>();
}

Batch SmallUnet::collate(const std::vector<Sample>& samples, const CollateContext&) const {
  Batch batch;
  for (const char* name : {"noisy", "clean"}) {
    std::vector<at::Tensor> images;
    for (const Sample& sample : samples) images.push_back(sample[name]);
    batch.fields.set(name, at::stack(images));
  }
  batch.num_samples = static_cast<int64_t>(samples.size());
  return batch;
}

Sample small_unet_sample(int64_t index, bool is_tall) {
  const auto position = static_cast<uint64_t>(index);
  at::Tensor clean = at::empty({1, is_tall ? 12 : 8, 8}), noise = at::empty_like(clean);
  fill_normal(clean, RandomKey(5).with("clean").with(position), 0, 1);
  fill_normal(noise, RandomKey(5).with("noise").with(position), 0, 0.3);
  clean = at::avg_pool2d(clean.unsqueeze(0), 3, 1, 1)[0];  // smooth: there is something to learn
  return {{"noisy", clean + noise}, {"clean", clean}};
}

}  // namespace triga::test
