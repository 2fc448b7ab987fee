// A metric for models of others: how often the right class is among the k that a model thinks
// likeliest. Reads `logits` [..., classes] and the labels of the batch; those below 0 are none.
#include <ATen/ATen.h>

#include "triga/plugin.h"

namespace triga::outside {

struct TopKConfig {
  int64_t k = 5;
  std::string name = "top_k_accuracy";
};

void describe(Fields& fields, TopKConfig& config) {
  fields.field("k", config.k).help("How many guesses.").at_least(1);
  fields.field("name", config.name).help("Under which it is logged.");
}

class TopK final : public Metric {
 public:
  explicit TopK(const TopKConfig& config) : config_(config) {}

  std::string name() const override { return config_.name; }
  void reset() override { num_right_ = num_labels_ = 0; }
  void update(const Batch& batch, const Activations& outputs) override {
    const at::Tensor& logits = outputs["logits"];
    const at::Tensor labels = batch["labels"].unsqueeze(-1);
    const int64_t k = std::min(config_.k, logits.size(-1));
    const at::Tensor guesses = std::get<1>(logits.topk(k));
    num_right_ += guesses.eq(labels).sum().item<int64_t>();
    num_labels_ += labels.ge(0).sum().item<int64_t>();
  }
  at::Tensor state() const override { return at::tensor({num_right_, num_labels_}, at::kLong); }
  void merge(const at::Tensor& state) override {
    num_right_ += state[0].item<int64_t>();
    num_labels_ += state[1].item<int64_t>();
  }
  double result() const override {
    return num_labels_ == 0 ? 0
                            : static_cast<double>(num_right_) / static_cast<double>(num_labels_);
  }

 private:
  TopKConfig config_;
  int64_t num_right_ = 0, num_labels_ = 0;
};

}  // namespace triga::outside

TRIGA_PLUGIN(ranking, "1.0.0") {
  using namespace triga;
  registry.metrics.add<outside::TopKConfig>(
      "top_k_accuracy", "The share of labels among the k largest logits.",
      [](const outside::TopKConfig& config, const MetricContext&) {
        return std::make_unique<outside::TopK>(config);
      });
}
