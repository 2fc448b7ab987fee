#include "rnn/adding_problem.h"

#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

namespace triga::rnn {
namespace {

class AddingProblem final : public Dataset {
 public:
  AddingProblem(const AddingProblemConfig& config, const std::string& split)
      : config_(config),
        key_(RandomKey(static_cast<uint64_t>(config.seed)).with("adding problem").with(split)),
        fingerprint_(c10::str("adding_problem ", split, " ", config.num_samples, " x ",
                              config.length, " seed ", config.seed)) {}

  int64_t size() const override { return config_.num_samples; }

  Sample get(int64_t index) const override {
    RandomStream random(key_, static_cast<uint64_t>(index));
    const int64_t half = config_.length / 2;
    const int64_t first = random.below(half);
    const int64_t second = half + random.below(config_.length - half);
    at::Tensor features = at::zeros({config_.length, 2}, at::kFloat);
    at::Tensor target = at::zeros({1}, at::kFloat);
    float* pair = features.mutable_data_ptr<float>();
    float* sum = target.mutable_data_ptr<float>();
    for (int64_t i = 0; i < config_.length; ++i, pair += 2) {
      pair[0] = static_cast<float>(random.uniform());
      if (i != first && i != second) continue;
      pair[1] = 1;
      *sum += pair[0];
    }
    return {{"features", features}, {"target", target}};
  }

  int64_t length(int64_t /*index*/) const override { return config_.length; }
  std::string fingerprint() const override { return fingerprint_; }

 private:
  AddingProblemConfig config_;
  RandomKey key_;
  std::string fingerprint_;
};

}  // namespace

void describe(Fields& fields, AddingProblemConfig& config) {
  fields.field("num_samples", config.num_samples)
      .help("Sequences; they are made anew from the seed, never stored.")
      .at_least(1)
      .known_as({"size", "num_sequences"});
  fields.field("length", config.length)
      .help("Pairs in a sequence: how long the model has to remember.")
      .unit("time steps")
      .at_least(2)
      .known_as({"T", "seq_len", "sequence_length", "time_lag"});
  fields.field("seed", config.seed)
      .help("Of the sequences; those of each split differ.")
      .at_least(0);
}

std::unique_ptr<Dataset> make_adding_problem(const AddingProblemConfig& config,
                                             const std::string& split) {
  return std::make_unique<AddingProblem>(config, split);
}

}  // namespace triga::rnn
