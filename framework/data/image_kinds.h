// The dataset kinds `idx_images`, `idx_rows` and `image_folder`.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_image_datasets(Registry& registry);

}  // namespace triga
