// in_plugin: calls code of a plugin, so that what it throws says whose it was.
#pragma once

#include <string>
#include <utility>

namespace triga {

/// To be called in a catch block. Throws what was caught again, as the same sort of triga::Error
/// with the plugin's name in front ("": the core's own kinds, which need none); LibTorch's and the
/// standard library's exceptions become one. A ConfigError is left as it is: it names a line.
[[noreturn]] void rethrow_with_plugin(const std::string& plugin);

template <class Call>
decltype(auto) in_plugin(const std::string& plugin, Call&& call) {
  try {
    return std::forward<Call>(call)();
  } catch (...) {
    rethrow_with_plugin(plugin);
  }
}

}  // namespace triga
