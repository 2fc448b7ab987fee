// The dataset kind `csv_series`.
#pragma once

#include "triga/plugin.h"

namespace triga {

void register_csv_series(Registry& registry);

}  // namespace triga
