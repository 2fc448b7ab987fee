// What can be said in an experiment, for editors and for readers.
#pragma once

#include <string>

#include "triga/plugin.h"

namespace triga {

/// JSON Schema (draft 2020-12) of an experiment, with the options of every kind in the registry.
ConfigNode experiment_schema(const Registry& registry);

/// The same as a page for people, in Markdown.
std::string experiment_reference(const Registry& registry);

}  // namespace triga
