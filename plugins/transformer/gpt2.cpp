#include "transformer/gpt2.h"

#include <c10/util/StringUtil.h>

#include "common/next_token.h"
#include "common/text_sampler.h"
#include "common/vocabulary.h"
#include "transformer/gpt2_layers.h"
#include "triga/tokenizer.h"

namespace triga::transformer {

Gpt2::Gpt2(const Gpt2Config& config, const ArchitectureContext& context) : config_(config) {
  config_.vocab_size = common::vocabulary_size(config.vocab_size, context.tokenizer);
  if (context.tokenizer) end_of_text_ = context.tokenizer->end_of_text();
}

std::vector<LayerSpec> Gpt2::layers() const {
  std::vector<LayerSpec> specs;
  const auto config = config_;
  specs.push_back({.name = "embedding",
                   .build = [config] { return std::make_unique<Gpt2Embedding>(config); },
                   .writes = {"hidden"}});
  for (int64_t i = 0; i < config.num_layers; ++i) {
    const auto name = c10::str("h.", i);
    specs.push_back(
        {.name = name,
         .build = [config, i, name] { return std::make_unique<Gpt2Block>(config, i, name); },
         .reads = {"hidden"},
         .writes = {"hidden"}});
  }
  specs.push_back({.name = "head",
                   .build = [config] { return std::make_unique<Gpt2Head>(config); },
                   .reads = {"hidden"},
                   .writes = {"logits"}});
  return specs;
}

std::unique_ptr<Loss> Gpt2::loss() const {
  return std::make_unique<common::NextTokenLoss>();
}

Batch Gpt2::collate(const std::vector<Sample>& samples, const CollateContext& context) const {
  return common::collate_next_token(
      samples, context,
      {.pad_token = end_of_text_.value_or(0), .context_length = config_.context_length});
}

std::vector<std::unique_ptr<Metric>> Gpt2::metrics() const {
  std::vector<std::unique_ptr<Metric>> metrics;
  metrics.push_back(std::make_unique<common::NextTokenAccuracy>());
  return metrics;
}

std::optional<SamplerKind> Gpt2::sampler() const {
  return common::text_sampler(config_.context_length);
}

ModelDirectory Gpt2::model_directory() const {
  return {.files = gpt2_files(config_, end_of_text_)};
}

void Gpt2::check_compatible(const std::map<std::string, std::string>& files) const {
  check_gpt2_files(config_, files);
}

std::optional<std::string> Gpt2::parameter_name(const std::string& stored_name) const {
  return gpt2_parameter_name(stored_name);
}

}  // namespace triga::transformer
