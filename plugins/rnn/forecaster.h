// Kind `rnn_forecaster`: the next `horizon` rows of a multivariate time series at once, from what
// the last recurrent layer remembers of the rows before, through a linear layer. Stored with the
// names of torch.nn modules `rnn` and `head`.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rnn/recurrent_layers.h"
#include "triga/architecture.h"
#include "triga/config.h"

namespace triga::rnn {

struct ForecasterConfig : RecurrentConfig {
  int64_t num_features = 1;
  int64_t horizon = 96;
  double dropout = 0.1;
  bool subtract_last = false;
};

void describe(Fields& fields, ForecasterConfig& config);

class Forecaster final : public Architecture {
 public:
  explicit Forecaster(const ForecasterConfig& config) : config_(config) {}

  std::vector<LayerSpec> layers() const override;
  /// Squared error over the number of values.
  std::unique_ptr<Loss> loss() const override;
  /// Samples {"input": fp32 [L, C], "target": fp32 [horizon, C]}, L alike; batched as they are.
  Batch collate(const std::vector<Sample>& samples, const CollateContext& context) const override;
  int64_t horizon() const override { return config_.horizon; }
  /// "mse" and "mae" of values as the data set gives them.
  std::vector<std::unique_ptr<Metric>> metrics() const override;
  std::optional<SamplerKind> sampler() const override;
  ModelDirectory model_directory() const override;
  void check_compatible(const std::map<std::string, std::string>& files) const override;

 private:
  ForecasterConfig config_;
};

}  // namespace triga::rnn
