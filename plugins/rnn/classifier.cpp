#include "rnn/classifier.h"

#include "common/classification.h"

namespace triga::rnn {
namespace {

using common::Json;

Json config_json(const ClassifierConfig& config) {
  Json json = {{"model_type", "triga_rnn_classifier"}, {"num_labels", config.num_labels}};
  add_encoder_json(config, json);
  return json;
}

}  // namespace

void describe(Fields& fields, ClassifierConfig& config) {
  describe(fields, static_cast<SequenceEncoderConfig&>(config));
  fields.field("num_labels", config.num_labels)
      .help("Classes to tell apart.")
      .at_least(2)
      .known_as({"num_classes", "n_classes", "output_size"});
}

Classifier::Classifier(const ClassifierConfig& config, const ArchitectureContext& context)
    : config_(config) {
  set_vocabulary(config_, context.tokenizer);
}

std::vector<LayerSpec> Classifier::layers() const {
  std::vector<LayerSpec> specs;
  add_encoder_layers(config_, specs);
  specs.push_back(linear_head(config_, "classifier", config_.num_labels, "logits"));
  return specs;
}

std::unique_ptr<Loss> Classifier::loss() const {
  return std::make_unique<common::ClassificationLoss>();
}

Batch Classifier::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<Sample> sorted;
  Batch batch = collate_sequences(config_, samples, context, sorted);
  batch.fields.set("labels", common::labels_of(sorted, config_.num_labels));
  return batch;
}

std::vector<std::unique_ptr<Metric>> Classifier::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(common::classification_accuracy());
  return metrics;
}

ModelDirectory Classifier::model_directory() const {
  return {.files = {{"config.json", config_json(config_).dump(2) + "\n"},
                    {"README.md",
                     "A recurrent classifier. With PyTorch and safetensors:\n\n" +
                         encoder_readme(config_, "classifier", config_.num_labels, "logits")}}};
}

void Classifier::check_compatible(const std::map<std::string, std::string>& files) const {
  const Json stored = common::parse_config_json(files, "rnn_classifier", "triga_rnn_classifier");
  common::ConfigComparison compare(stored);
  compare.expect_all(config_json(config_), {"model_type", "dropout"});
  compare.throw_if_any();
}

}  // namespace triga::rnn
