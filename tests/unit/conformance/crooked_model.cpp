#include "tests/unit/conformance/crooked_model.h"

#include <ATen/ATen.h>

#include <atomic>

#include "triga/ops.h"

namespace triga::test {
namespace {

constexpr int64_t kInputs = 4, kWidth = 5, kOutputs = 3;

std::atomic<int> g_calls = 0;  // what a model must not have

class First final : public Layer {
 public:
  explicit First(Fault fault) : fault_(fault) {
    if (fault == Fault::kForgotten) return;
    weight_ = parameter("first.weight", {kWidth, kInputs}, Init::normal(0.5));
    if (fault == Fault::kUnusedParameter) parameter("first.unused", {2}, Init::ones());
    if (fault == Fault::kUndeclared) own_ = at::ones({kWidth}).set_requires_grad(true);
    if (fault == Fault::kAllocates) weight_.bind(at::zeros({kWidth, kInputs}));
  }
  Activations forward(const Activations&, LayerContext& context) override {
    const at::Tensor& x = context.batch()["x"];
    if (fault_ == Fault::kThrows) throw std::runtime_error("the moon is in the wrong place");
    at::Tensor weight = weight_.tensor();
    if (fault_ == Fault::kHalfGradient) weight = weight / 2 + weight.detach() / 2;
    if (fault_ == Fault::kTinyGradient) weight = weight / 1000 + weight.detach() * 0.999;
    if (fault_ == Fault::kRowWithoutGradient)
      weight = at::cat({weight.slice(0, 0, 2), weight.slice(0, 2).detach()});
    at::Tensor hidden = at::tanh(at::linear(x, weight));
    if (fault_ == Fault::kNotANumber) hidden = at::log(hidden);
    if (own_.defined()) hidden = hidden * own_;
    if (fault_ == Fault::kCountsInLayer) hidden = hidden * (1 + 0.01 * ++calls_);
    if (fault_ == Fault::kCountsInPart)
      hidden = context.recompute(
          [this](const std::vector<at::Tensor>& inputs, LayerContext&) {
            return std::vector<at::Tensor>{inputs[0] * inputs[0] * (1 + 0.01 * ++calls_)};
          },
          {hidden})[0];
    if (fault_ == Fault::kDefaultGenerator) hidden = hidden + at::rand_like(hidden) * 0.1;
    if (fault_ == Fault::kCountsCalls) hidden = hidden * (1 + 0.01 * ++g_calls);
    if (fault_ == Fault::kCountsEvaluations && context.mode() == Mode::kEvaluate)
      hidden = hidden * (1 + 0.01 * ++g_calls);
    return {{"hidden", dropout(hidden, 0.2, context, "hidden")}};
  }

 private:
  Fault fault_;
  Parameter weight_;
  at::Tensor own_;
  int calls_ = 0;
};

class Second final : public Layer {
 public:
  explicit Second(Fault fault) : fault_(fault) {
    weight_ = parameter("second.weight", {kWidth, kWidth}, Init::normal(0.5));
  }
  Activations forward(const Activations& inputs, LayerContext&) override {
    const at::Tensor& hidden = inputs["hidden"];
    const at::Tensor next = at::linear(hidden, weight_);
    if (fault_ == Fault::kChangesInput) hidden.variable_data().mul_(0.5);  // unseen by autograd
    return {{"next", next}};
  }

 private:
  Fault fault_;
  Parameter weight_;
};

class Third final : public Layer {
 public:
  Third() : weight_(parameter("third.weight", {kOutputs, kWidth}, Init::normal(0.5))) {}
  Activations forward(const Activations& inputs, LayerContext&) override {
    return {{"y", at::linear(inputs["hidden"] + inputs["next"], weight_)}};
  }

 private:
  Parameter weight_;
};

class SquaredError final : public Loss {
 public:
  double count(const Batch& batch, std::string_view) const override {
    return static_cast<double>(batch["y"].size(0));
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    return at::mse_loss(outputs["y"], batch["y"], at::Reduction::Sum);
  }
};

/// The mean of the outputs, over all samples.
class MeanOutput final : public Metric {
 public:
  explicit MeanOutput(Fault fault) : fault_(fault) {}
  std::string name() const override { return "mean_output"; }
  void reset() override { sum_ = count_ = 0; }
  void update(const Batch&, const Activations& outputs) override {
    sum_ += outputs["y"].sum(at::kDouble).item<double>();
    count_ += static_cast<double>(outputs["y"].numel());
  }
  at::Tensor state() const override { return at::tensor({sum_, count_}, at::kDouble); }
  void merge(const at::Tensor& state) override {
    if (fault_ == Fault::kBadMerge) reset();
    sum_ += state[0].item<double>();
    count_ += state[1].item<double>();
  }
  double result() const override { return count_ == 0 ? 0 : sum_ / count_; }

 private:
  Fault fault_;
  double sum_ = 0, count_ = 0;
};

class CountingSampler final : public Sampler {
 public:
  explicit CountingSampler(Fault fault) : fault_(fault) {}
  void generate(Predictor&, const SamplerContext& context) override {
    context.print(fault_ == Fault::kOtherSample ? std::to_string(++g_calls) : "always this");
  }

 private:
  Fault fault_;
};

class Crooked final : public Architecture {
 public:
  explicit Crooked(Fault fault) : fault_(fault) {}

  std::vector<LayerSpec> layers() const override {
    const Fault fault = fault_;
    std::string first = "first";
    if (fault == Fault::kBare)
      return {{.name = first,
               .build = [fault] { return std::make_unique<First>(fault); },
               .writes = {"hidden"}}};
    if (fault == Fault::kOtherNames) first += std::to_string(++g_calls);
    return {{.name = first,
             .build = [fault] { return std::make_unique<First>(fault); },
             .writes = {"hidden"}},
            {.name = "second",
             .build = [fault] { return std::make_unique<Second>(fault); },
             .reads = {"hidden"},
             .writes = {"next"}},
            {.name = "third",
             .build = [] { return std::make_unique<Third>(); },
             .reads = {"hidden", "next"},
             .writes = {"y"}}};
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<SquaredError>(); }
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override {
    std::vector<at::Tensor> x, y;
    for (const Sample& sample : samples) {
      x.push_back(sample["x"]);
      y.push_back(sample["y"]);
    }
    Batch batch;
    batch.fields = {{"x", at::stack(x)}, {"y", at::stack(y)}};
    if (fault_ == Fault::kCollateDraws) batch.fields.set("x", batch["x"] + at::rand({1}));
    if (fault_ == Fault::kEvaluationDraws && !context.training)
      batch.fields.set("x", batch["x"] + at::rand({1}));
    if (fault_ == Fault::kNoRow) batch.fields.set("size", at::zeros({1}));
    batch.num_samples = static_cast<int64_t>(samples.size());
    batch.first_position = context.first_position;
    return batch;
  }
  std::vector<std::unique_ptr<Metric>> metrics() const override {
    std::vector<std::unique_ptr<Metric>> metrics;
    if (fault_ == Fault::kBare) return metrics;
    metrics.push_back(std::make_unique<MeanOutput>(fault_));
    return metrics;
  }
  std::optional<SamplerKind> sampler() const override {
    if (fault_ == Fault::kBare) return std::nullopt;
    return SamplerKind{
        [fault = fault_](const ConfigNode&) { return std::make_unique<CountingSampler>(fault); },
        [](const ConfigNode& inputs) { return inputs; }, [] { return ConfigNode::make_mapping(); }};
  }
  ModelDirectory model_directory() const override {
    if (fault_ == Fault::kNoFiles) return {};
    return {.files = {{"README.md", "Read it so."}}};
  }
  void check_compatible(const std::map<std::string, std::string>&) const override {
    if (fault_ == Fault::kNotItself) throw ConfigError("another model");
  }
  std::optional<std::string> parameter_name(const std::string& stored) const override {
    if (fault_ == Fault::kForgetsName && stored == "second.weight") return std::nullopt;
    return stored;
  }

 private:
  Fault fault_;
};

}  // namespace

std::unique_ptr<Architecture> make_crooked(Fault fault) {
  return std::make_unique<Crooked>(fault);
}

conformance::Subject crooked_subject(Fault fault, const std::string& scratch_dir) {
  conformance::Subject subject;
  subject.plugin = "crooked";
  subject.make = [fault] { return make_crooked(fault); };
  subject.sample = [](int64_t index) -> Sample {
    at::Tensor x = at::empty({kInputs}, at::kFloat), y = at::empty({kOutputs}, at::kFloat);
    fill_normal(x, RandomKey(4).with("x"), 0, 1, static_cast<uint64_t>(index));
    fill_normal(y, RandomKey(4).with("y"), 0, 1, static_cast<uint64_t>(index));
    return {{"x", x}, {"y", y}};
  };
  subject.sampler_inputs = ConfigNode::make_mapping();
  subject.scratch_dir = scratch_dir;
  return subject;
}

}  // namespace triga::test
