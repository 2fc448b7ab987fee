// A name that no experiment could write.
#include "good.h"

static void triga_register_kinds(triga::Registry&) {}
extern "C" __attribute__((visibility("default"), used))
const triga::PluginDescriptor triga_plugin = {"../Evil", "1", &triga_register_kinds};
__attribute__((section(".note.triga"), used, visibility("default"))) extern const auto stamp =
    triga::detail::make_stamp(TRIGA_STAMP);
