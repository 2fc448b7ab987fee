// The transformer family.
#include "triga/plugin.h"

#include "transformer/bert.h"
#include "transformer/gpt2.h"
#include "transformer/vit.h"

TRIGA_PLUGIN(transformer, "0.1.0") {
  using namespace triga;               // NOLINT: of this function alone
  using namespace triga::transformer;  // NOLINT
  registry.architectures.add<Gpt2Config>(
      "gpt2",
      "Decoder-only language model (Radford et al. 2019), as transformers' GPT2LMHeadModel.",
      [](const Gpt2Config& config, const ArchitectureContext& context)
          -> std::unique_ptr<Architecture> { return std::make_unique<Gpt2>(config, context); });
  registry.architectures.add<VitConfig>(
      "vit_classifier",
      "Class of an image by its patches (Dosovitskiy et al. 2021), as transformers' "
      "ViTForImageClassification.",
      [](const VitConfig& config, const ArchitectureContext&) -> std::unique_ptr<Architecture> {
        return std::make_unique<Vit>(config);
      });
  registry.architectures.add<BertMlmConfig>(
      "bert_mlm",
      "Encoder that learns from text by guessing masked tokens (Devlin et al. 2019), as "
      "transformers' BertForMaskedLM.",
      [](const BertMlmConfig& config, const ArchitectureContext& context)
          -> std::unique_ptr<Architecture> { return std::make_unique<BertMlm>(config, context); });
  registry.architectures.add<BertClassifierConfig>(
      "bert_classifier",
      "Class of a text by an encoder (Devlin et al. 2019), as transformers' "
      "BertForSequenceClassification.",
      [](const BertClassifierConfig& config,
         const ArchitectureContext& context) -> std::unique_ptr<Architecture> {
        return std::make_unique<BertClassifier>(config, context);
      });
}
