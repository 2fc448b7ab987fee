// Checks of a kind's description: what holds for every sort, whatever the kind makes.
#pragma once

#include <functional>

#include "config/kind_sections.h"
#include "conformance/subject.h"

namespace triga::conformance {

/// Every option has a help text, the kind has one, and a resolved config resolves to itself.
/// `config`: one that is right.
Problems check_description(const KindView& kind, const ConfigNode& config);

/// What cannot be right is refused with a ConfigError that names the option: an unknown key, a
/// value of another type; and a negative number is refused, or makes something. `make`: makes the
/// product of a config and looks at it. Throws: what is wrong with the product, as an Error that is
/// no ConfigError.
Problems check_refusals(const KindView& kind, const ConfigNode& config,
                        const std::function<void(const ConfigNode& config)>& make);

/// The options that have no default.
std::vector<std::string> required_options(const KindView& kind);

}  // namespace triga::conformance
