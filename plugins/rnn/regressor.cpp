#include "rnn/regressor.h"

#include <ATen/ops/stack.h>
#include <c10/util/StringUtil.h>

#include "rnn/squared_error.h"

namespace triga::rnn {
namespace {

using common::Json;

Json config_json(const RegressorConfig& config) {
  Json json = {{"model_type", "triga_rnn_regressor"}, {"num_targets", config.num_targets}};
  add_encoder_json(config, json);
  return json;
}

at::Tensor targets_of(const std::vector<Sample>& samples, int64_t num_targets) {
  std::vector<at::Tensor> targets;
  for (const Sample& sample : samples) {
    const at::Tensor* target = sample.find("target");
    if (target == nullptr)
      throw DataError("a sample has no `target`; a regressor learns from data sets of numbers");
    if (target->dim() != 1 || target->size(0) != num_targets || target->scalar_type() != at::kFloat)
      throw DataError(c10::str("a sample's `target` is ", target->dtype(), " ", target->sizes(),
                               "; the model gives float [", num_targets, "] (num_targets)"));
    targets.push_back(*target);
  }
  return at::stack(targets);
}

}  // namespace

void describe(Fields& fields, RegressorConfig& config) {
  describe(fields, static_cast<SequenceEncoderConfig&>(config));
  fields.field("num_targets", config.num_targets)
      .help("Numbers to find for each sequence.")
      .at_least(1)
      .known_as({"num_outputs", "output_size", "out_features"});
}

Regressor::Regressor(const RegressorConfig& config, const ArchitectureContext& context)
    : config_(config) {
  set_vocabulary(config_, context.tokenizer);
}

std::vector<LayerSpec> Regressor::layers() const {
  std::vector<LayerSpec> specs;
  add_encoder_layers(config_, specs);
  specs.push_back(linear_head(config_, "regressor", config_.num_targets, "values"));
  return specs;
}

std::unique_ptr<Loss> Regressor::loss() const {
  return squared_error("values", "targets");
}

Batch Regressor::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<Sample> sorted;
  Batch batch = collate_sequences(config_, samples, context, sorted);
  batch.fields.set("targets", targets_of(sorted, config_.num_targets));
  return batch;
}

std::vector<std::unique_ptr<Metric>> Regressor::metrics() const {
  return error_metrics("values", "targets");
}

ModelDirectory Regressor::model_directory() const {
  return {.files = {{"config.json", config_json(config_).dump(2) + "\n"},
                    {"README.md",
                     "A recurrent regressor. With PyTorch and safetensors:\n\n" +
                         encoder_readme(config_, "regressor", config_.num_targets, "values")}}};
}

void Regressor::check_compatible(const std::map<std::string, std::string>& files) const {
  const Json stored = common::parse_config_json(files, "rnn_regressor", "triga_rnn_regressor");
  common::ConfigComparison compare(stored);
  compare.expect_all(config_json(config_), {"model_type", "dropout"});
  compare.throw_if_any();
}

}  // namespace triga::rnn
