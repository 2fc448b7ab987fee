// Has a stamp, and no descriptor.
#include "triga/plugin.h"

__attribute__((section(".note.triga"), used, visibility("default"))) extern const auto stamp =
    triga::detail::make_stamp(TRIGA_STAMP);
