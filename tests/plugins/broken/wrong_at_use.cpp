// A model of which something goes wrong in training, from some sample on: what its option says.
#include <ATen/ATen.h>

#include <limits>

#include "triga/metric.h"
#include "triga/ops.h"
#include "triga/plugin.h"

namespace triga::test {
namespace {

constexpr int64_t kLength = 16, kWidth = 8;

struct WrongConfig {
  enum class Fault {
    kNone,
    kCrashForward,
    kThrowForward,
    kCrashBackward,
    kThrowBackward,
    kThrowLoss,
    kThrowCollate,
    kNotDeclared,
    kNotANumber,
    kThrowLayers,
    kThrowBuild,
    kThrowMetric,
    kWrongName
  };
  Fault fault = Fault::kNone;
  int64_t from = 0;
  bool strikes(Fault what, const Batch& batch) const {
    return fault == what && batch.first_position >= from;
  }
};
using Fault = WrongConfig::Fault;

void describe(Fields& fields, WrongConfig& config) {
  fields
      .choice("fault", config.fault,
              {{"none", Fault::kNone},
               {"crash_forward", Fault::kCrashForward},
               {"throw_forward", Fault::kThrowForward},
               {"crash_backward", Fault::kCrashBackward},
               {"throw_backward", Fault::kThrowBackward},
               {"throw_loss", Fault::kThrowLoss},
               {"throw_collate", Fault::kThrowCollate},
               {"not_declared", Fault::kNotDeclared},
               {"not_a_number", Fault::kNotANumber},
               {"throw_layers", Fault::kThrowLayers},
               {"throw_build", Fault::kThrowBuild},
               {"throw_metric", Fault::kThrowMetric},
               {"wrong_name", Fault::kWrongName}})
      .help("What goes wrong.")
      .required();
  fields.field("from", config.from).help("First sample of which it does.").at_least(0);
}

void crash() {
  int* volatile nowhere = nullptr;
  *nowhere = 1;
}

class Embedding final : public Layer {
 public:
  explicit Embedding(int64_t classes)
      : weight_(parameter("embedding.weight", {classes, kWidth}, Init::normal(0.1))) {}
  Activations forward(const Activations&, LayerContext& context) override {
    return {{"hidden", embedding(context.batch()["inputs"], weight_)}};
  }

 private:
  Parameter weight_;
};

class Middle final : public Layer {
 public:
  explicit Middle(const WrongConfig& config)
      : config_(config), weight_(parameter("middle.weight", {kWidth, kWidth}, Init::normal(0.3))) {}
  Activations forward(const Activations& inputs, LayerContext& context) override {
    const auto strikes = [&](Fault fault) { return config_.strikes(fault, context.batch()); };
    if (strikes(Fault::kCrashForward)) crash();
    if (strikes(Fault::kThrowForward)) throw std::runtime_error("the moon is in the wrong place");
    at::Tensor hidden = linear(inputs["hidden"], weight_, nullptr);
    if (strikes(Fault::kNotDeclared)) hidden = hidden + bias_;
    if (strikes(Fault::kNotANumber)) hidden = hidden * std::numeric_limits<double>::quiet_NaN();
    if (hidden.requires_grad())
      hidden.register_hook([crashes = strikes(Fault::kCrashBackward),
                            throws = strikes(Fault::kThrowBackward)](const at::Tensor& gradient) {
        if (crashes) crash();
        TORCH_CHECK(!throws, "the moon is in the wrong place");
        return gradient;
      });
    if (strikes(Fault::kWrongName)) return {{"depth", at::tanh(hidden)}};
    return {{"deep", at::tanh(hidden)}};
  }

 private:
  WrongConfig config_;
  Parameter weight_, bias_;
};

class Head final : public Layer {
 public:
  explicit Head(int64_t classes)
      : weight_(parameter("head.weight", {classes, kWidth}, Init::normal(0.1))) {}
  Activations forward(const Activations& inputs, LayerContext&) override {
    return {{"logits", linear(inputs["deep"], weight_, nullptr)}};
  }

 private:
  Parameter weight_;
};

class NextToken final : public Loss {
 public:
  explicit NextToken(const WrongConfig& config) : config_(config) {}
  double count(const Batch& batch, std::string_view) const override {
    return batch["labels"].ne(-100).sum().item<double>();
  }
  at::Tensor sum(const Activations& outputs, const Batch& batch) const override {
    if (config_.strikes(Fault::kThrowLoss, batch))
      throw std::runtime_error("the moon is in the wrong place");
    return cross_entropy_sum(outputs["logits"].flatten(0, 1), batch["labels"].flatten());
  }

 private:
  WrongConfig config_;
};

class Moonshine final : public Metric {
 public:
  std::string name() const override { return "moonshine"; }
  void reset() override {}
  void update(const Batch&, const Activations&) override {}
  at::Tensor state() const override { return at::zeros({1}); }
  void merge(const at::Tensor&) override {}
  double result() const override { throw std::runtime_error("the moon is in the wrong place"); }
};

class Wrong final : public Architecture {
 public:
  Wrong(const WrongConfig& config, int64_t classes) : config_(config), classes_(classes) {}
  std::vector<LayerSpec> layers() const override {
    const auto embed = [size = classes_] { return std::make_unique<Embedding>(size); };
    if (config_.fault == Fault::kThrowLayers)
      throw std::runtime_error("the moon is in the wrong place");
    const auto middle = [config = config_] {
      if (config.fault == Fault::kThrowBuild)
        throw std::runtime_error("the moon is in the wrong place");
      return std::make_unique<Middle>(config);
    };
    const auto head = [size = classes_] { return std::make_unique<Head>(size); };
    return {{.name = "embedding", .build = embed, .writes = {"hidden"}},
            {.name = "middle", .build = middle, .reads = {"hidden"}, .writes = {"deep"}},
            {.name = "head", .build = head, .reads = {"deep"}, .writes = {"logits"}}};
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<NextToken>(config_); }
  std::vector<std::unique_ptr<Metric>> metrics() const override {
    std::vector<std::unique_ptr<Metric>> metrics;
    if (config_.fault == Fault::kThrowMetric) metrics.push_back(std::make_unique<Moonshine>());
    return metrics;
  }
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override {
    std::vector<at::Tensor> inputs, labels;
    for (const Sample& sample : samples) {
      const at::Tensor& tokens = sample["tokens"];
      const int64_t padding = kLength + 1 - tokens.size(0);
      inputs.push_back(at::constant_pad_nd(tokens.slice(0, 0, -1), {0, padding}, 0));
      labels.push_back(at::constant_pad_nd(tokens.slice(0, 1), {0, padding}, -100));
    }
    Batch batch;
    batch.fields = {{"inputs", at::stack(inputs)}, {"labels", at::stack(labels)}};
    batch.num_samples = static_cast<int64_t>(samples.size());
    batch.first_position = context.first_position;
    if (config_.strikes(Fault::kThrowCollate, batch))
      throw std::runtime_error("the moon is in the wrong place");
    return batch;
  }
  int64_t sequence_length() const override { return kLength; }
  ModelDirectory model_directory() const override { return {.files = {{"README.md", "Wrong."}}}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}

 private:
  WrongConfig config_;
  int64_t classes_;
};

}  // namespace
}  // namespace triga::test

TRIGA_PLUGIN(wrong_at_use, "1.0.0") {
  registry.architectures.add<triga::test::WrongConfig>(
      "wrong", "Goes wrong.",
      [](const triga::test::WrongConfig& config, const triga::ArchitectureContext& context) {
        return std::make_unique<triga::test::Wrong>(config, context.tokenizer->vocab_size());
      });
}
