// Checks of a kind's description: what holds for every sort, whatever the kind makes.
#pragma once

#include <functional>

#include "config/kind_sections.h"
#include "conformance/subject.h"

namespace triga::conformance {

/// Every option has a help text, the kind has one, and a resolved config resolves to itself.
/// `config`: one that is right.
Problems check_description(const KindView& kind, const ConfigNode& config);

/// What cannot be right is refused with a ConfigError that names the option: an unknown key, a value
/// of another type, a word that is no choice. Whether -1 or 0 can be right only the plugin knows,
/// for each number, in lists and structs too: it is refused with a ConfigError (or a DataError, where
/// it shows in the data only), or what is made with it can be used. `use`: makes the product of a
/// config and uses it (use.h); it is told what is tried, "dropout: -1".
Problems check_refusals(
    const KindView& kind, const ConfigNode& config,
    const std::function<void(const ConfigNode& config, const std::string& tried)>& use);

/// The options that have no default.
std::vector<std::string> required_options(const KindView& kind);

}  // namespace triga::conformance
