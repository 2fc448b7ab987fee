// triga plugin check: the conformance suite (framework/conformance) on any plugin.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "launchers/environment.h"
#include "triga/error.h"

namespace triga {

struct PluginCheckArguments {
  std::string file;
  std::vector<std::string> experiments;  // files
  std::vector<std::string> inputs;       // of samplers: "prompt=To be"
};

/// Writes a line a check, then a summary. Returns kPlugin when a check failed: a kind that no
/// experiment uses is one that cannot be checked. Throws: ConfigError for inputs that are none, and
/// for an experiment that is wrong in itself.
ExitStatus check_plugin(const CommandEnvironment& environment,
                        const PluginCheckArguments& arguments, std::ostream& out);

}  // namespace triga
