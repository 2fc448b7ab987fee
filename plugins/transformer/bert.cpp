#include "transformer/bert.h"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <algorithm>

#include "common/classification.h"
#include "common/next_token.h"
#include "common/vocabulary.h"
#include "transformer/bert_layers.h"
#include "transformer/bert_samplers.h"

namespace triga::transformer {
namespace {

constexpr const char* kMlm = "bert_mlm";
constexpr const char* kClassifier = "bert_classifier";

/// Embedding and blocks; the head is what kinds differ in.
std::vector<LayerSpec> encoder_layers(const BertConfig& config) {
  std::vector<LayerSpec> specs;
  specs.push_back({.name = "embedding",
                   .build = [config] { return std::make_unique<BertEmbedding>(config); },
                   .writes = {"hidden"}});
  for (int64_t i = 0; i < config.num_layers; ++i)
    specs.push_back({.name = c10::str("layer.", i),
                     .build = [config, i] { return std::make_unique<BertBlock>(config, i); },
                     .reads = {"hidden"},
                     .writes = {"hidden"}});
  return specs;
}

Batch batch_of(NamedTensors fields, size_t num_samples, const CollateContext& context) {
  Batch batch;
  batch.fields = std::move(fields);
  batch.num_samples = static_cast<int64_t>(num_samples);
  batch.first_position = context.first_position;
  return batch;
}

}  // namespace

BertMlm::BertMlm(const BertMlmConfig& config, const ArchitectureContext& context)
    : config_(config), tokens_(bert_tokens(context.tokenizer, kMlm)) {
  config_.vocab_size = common::vocabulary_size(config.vocab_size, context.tokenizer);
}

std::vector<LayerSpec> BertMlm::layers() const {
  const BertMlmConfig config = config_;
  std::vector<LayerSpec> specs = encoder_layers(config);
  specs.push_back({.name = "head",
                   .build = [config] { return std::make_unique<BertMaskedHead>(config); },
                   .reads = {"hidden"},
                   .writes = {"logits"}});
  return specs;
}

std::unique_ptr<Loss> BertMlm::loss() const {
  return std::make_unique<common::NextTokenLoss>();
}

Batch BertMlm::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  std::vector<TokenRow> rows;
  std::vector<MaskedPlaces> masked;
  size_t most = 1;  // a field of a batch has elements
  for (size_t i = 0; i < samples.size(); ++i) {
    rows.push_back(bert_row(samples[i], tokens_, config_.context_length));
    masked.push_back(mask_row(rows.back(), tokens_, config_.masked_share,
                              context.random(static_cast<int64_t>(i), "masking")));
    most = std::max(most, masked.back().positions.size());
  }
  const auto num_rows = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(most);
  const at::Tensor positions = at::zeros({num_rows, width}, at::kLong);
  const at::Tensor labels = at::full({num_rows, width}, common::kNoLabel, at::kLong);
  for (size_t i = 0; i < masked.size(); ++i) {
    const auto& [of_row, labels_of_row] = masked[i];
    std::copy(of_row.begin(), of_row.end(), positions.mutable_data_ptr<int64_t>() + i * most);
    std::copy(labels_of_row.begin(), labels_of_row.end(),
              labels.mutable_data_ptr<int64_t>() + i * most);
  }
  NamedTensors fields = pad_rows(rows, tokens_);
  fields.set("masked_positions", positions);
  fields.set("labels", labels);
  return batch_of(std::move(fields), samples.size(), context);
}

/// Datasets of tokens give one more than this; [CLS] and [SEP] are two.
int64_t BertMlm::sequence_length() const {
  return config_.context_length - 3;
}

std::vector<std::unique_ptr<Metric>> BertMlm::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(std::make_unique<common::NextTokenAccuracy>());
  return metrics;
}

std::optional<SamplerKind> BertMlm::sampler() const {
  return fill_mask_sampler(tokens_, config_.context_length);
}

ModelDirectory BertMlm::model_directory() const {
  return {.files = bert_mlm_files(config_, tokens_.pad)};
}

void BertMlm::check_compatible(const std::map<std::string, std::string>& files) const {
  check_bert_files(config_, kMlm, files);
}

std::optional<std::string> BertMlm::parameter_name(const std::string& stored_name) const {
  return bert_parameter_name(stored_name, BertHead::kMaskedTokens);
}

BertClassifier::BertClassifier(const BertClassifierConfig& config,
                               const ArchitectureContext& context)
    : config_(config), tokens_(bert_tokens(context.tokenizer, kClassifier)) {
  config_.vocab_size = common::vocabulary_size(config.vocab_size, context.tokenizer);
}

std::vector<LayerSpec> BertClassifier::layers() const {
  const BertClassifierConfig config = config_;
  std::vector<LayerSpec> specs = encoder_layers(config);
  specs.push_back({.name = "classifier",
                   .build = [config] { return std::make_unique<BertClassHead>(config); },
                   .reads = {"hidden"},
                   .writes = {"logits"}});
  return specs;
}

std::unique_ptr<Loss> BertClassifier::loss() const {
  return std::make_unique<common::ClassificationLoss>();
}

Batch BertClassifier::collate(const std::vector<Sample>& samples,
                              const CollateContext& context) const {
  std::vector<TokenRow> rows;
  rows.reserve(samples.size());
  for (const Sample& sample : samples)
    rows.push_back(bert_row(sample, tokens_, config_.context_length));
  NamedTensors fields = pad_rows(rows, tokens_);
  fields.set("labels", common::labels_of(samples, config_.num_labels));
  return batch_of(std::move(fields), samples.size(), context);
}

std::vector<std::unique_ptr<Metric>> BertClassifier::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(common::classification_accuracy());
  return metrics;
}

std::optional<SamplerKind> BertClassifier::sampler() const {
  return text_class_sampler(tokens_, config_.context_length);
}

ModelDirectory BertClassifier::model_directory() const {
  return {.files = bert_classifier_files(config_, tokens_.pad)};
}

void BertClassifier::check_compatible(const std::map<std::string, std::string>& files) const {
  check_bert_files(config_, kClassifier, files);
}

std::optional<std::string> BertClassifier::parameter_name(const std::string& stored_name) const {
  return bert_parameter_name(stored_name, BertHead::kClass);
}

}  // namespace triga::transformer
