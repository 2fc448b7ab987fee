// The RNN family.
#include "triga/plugin.h"

#include "rnn/language_model.h"

TRIGA_PLUGIN(rnn, "0.1.0") {
  using namespace triga;       // NOLINT: of this function alone
  using namespace triga::rnn;  // NOLINT
  registry.architectures.add<LanguageModelConfig>(
      "rnn_language_model",
      "Language model of LSTM, GRU or simple recurrent layers (Zaremba et al. 2014), as "
      "torch.nn's.",
      [](const LanguageModelConfig& config,
         const ArchitectureContext& context) -> std::unique_ptr<Architecture> {
        return std::make_unique<LanguageModel>(config, context);
      });
}
