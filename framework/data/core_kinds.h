// The datasets and tokenizers that need no plugin.
#pragma once

#include "triga/plugin.h"

namespace triga {

/// `text`: plain text files as samples of tokens.
void register_core_datasets(Registry& registry);
/// `bytes`: each byte is a token.
void register_core_tokenizers(Registry& registry);

}  // namespace triga
