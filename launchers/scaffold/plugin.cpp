// The registration: the plugin's name (that of its file) and version, and its kinds.
#include "triga/plugin.h"

#include "bigram.h"
#include "sentences.h"

TRIGA_PLUGIN(my_plugin, "0.1.0") {
  using namespace triga;
  using namespace triga::plugin_my_plugin;
  registry.architectures.add<BigramConfig>(
      "bigram", "Guesses the next token from the last one alone.",
      [](const BigramConfig& config, const ArchitectureContext& context) {
        return std::make_unique<Bigram>(config, context);
      });
  registry.datasets.add<SentencesConfig>("sentences", "The sentences of a text file.",
                                         make_sentences);
}
