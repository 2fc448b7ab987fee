// The dataset kind `labelled_text`: a text and its class on each line.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_labelled_text(Registry& registry);

}  // namespace triga
