// The registration: the plugin's name (that of its file) and version, and its kind.
#include "triga/plugin.h"

#include "sentences.h"

TRIGA_PLUGIN(my_plugin, "0.1.0") {
  using namespace triga::plugin_my_plugin;
  registry.datasets.add<SentencesConfig>("sentences", "The sentences of a text file.",
                                         make_sentences);
}
