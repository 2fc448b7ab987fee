// Has a descriptor, and no stamp: any library, as far as the host can see.
#include "triga/plugin.h"

static void triga_register_kinds(triga::Registry&) {}
extern "C" __attribute__((visibility("default"), used))
const triga::PluginDescriptor triga_plugin = {"no_stamp", "1", &triga_register_kinds};
