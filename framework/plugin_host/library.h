// A plugin's library, loaded into this process: from here on its code runs.
#pragma once

#include "plugin_host/plugin_file.h"
#include "triga/plugin.h"

namespace triga {

/// Loads the file with RTLD_NOW | RTLD_LOCAL, for good: it stays until the process ends, because
/// objects, vtables and thread-local state of it may. Throws: PluginError that names the missing
/// library or function, or says that it has no usable descriptor. An exception from a static
/// initialiser ends the process; see trial.h.
const PluginDescriptor& load_plugin(const PluginFile& file);

/// What the plugin registers, in a registry of its own. Throws: PluginError also in place of what
/// the plugin throws.
Registry registered_kinds(const PluginDescriptor& descriptor, const PluginFile& file);

}  // namespace triga
