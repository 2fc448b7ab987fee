// PluginCall: which code of a plugin a thread is in, so that an exception that comes out of it, and
// a crash, say whose it was:
//
//   PluginCall("forward", code, step, microbatch).run([&] { return layer.forward(inputs, context); })
//
// A call costs a few stores. Names are made beforehand: a crash handler can make none.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>

namespace triga {

/// Whose code, in words that a call refers to.
struct PluginCode {
  std::string plugin;  // "": Triga's own
  std::string name;    // "layer 'blocks.3' (MyLayer)"; "": no more is known than the plugin
};

namespace detail {
PluginCode code_of(const std::string& what, const std::type_info& type, const void* vtable);
}  // namespace detail

/// That of an object's class: "layer 'blocks.3'" becomes "layer 'blocks.3' (MyLayer)", and the plugin
/// is the library that the class lies in. Requires: the class has virtual functions.
template <class Object>
PluginCode code_of(const std::string& what, const Object& object) {
  return detail::code_of(what, typeid(object),
                         *static_cast<const void* const*>(dynamic_cast<const void*>(&object)));
}

/// From its construction to its destruction, in one thread. Calls may lie inside of each other.
class PluginCall {
 public:
  /// `part`: the function's name; null: not known. `code` must outlive the call. `step`,
  /// `microbatch`: -1: there is none.
  PluginCall(const char* part, const PluginCode& code, int64_t step = -1,
             int64_t microbatch = -1) noexcept;
  ~PluginCall();
  PluginCall(const PluginCall&) = delete;
  PluginCall& operator=(const PluginCall&) = delete;

  /// What `work` returns. What it throws is thrown again as the same sort of triga::Error, with
  /// plugin and place in front, once (Triga's own code needs none); exceptions of others become one
  /// (base/foreign_errors.h). A ConfigError is left as it is, since it names a line, and so is a
  /// CommError, which is about other ranks.
  template <class Work>
  decltype(auto) run(Work&& work) const {
    try {
      return std::forward<Work>(work)();
    } catch (...) {
      rethrow();
    }
  }

  /// The call that is running goes on in other code, as a backward pass does from layer to layer. In
  /// a thread that is in no call it is the last one of a step that began in any, which that thread
  /// works for. `code` must outlive the call.
  static void move_to(const PluginCode& code) noexcept;

  /// " in forward of layer 'blocks.3' (MyLayer) of plugin 'foo', step 12, microbatch 0": where this
  /// thread is, else the last call of a step in any thread; empty when there is none. A part of
  /// `buffer`. Async-signal-safe.
  static std::string_view describe(std::span<char> buffer) noexcept;

 private:
  [[noreturn]] void rethrow() const;
  std::string named(std::string_view what) const;

  const char* part_;
  std::atomic<const PluginCode*> code_;
  int64_t step_, microbatch_;
  PluginCall* outer_;
};

/// A call of which only the plugin is known.
template <class Work>
decltype(auto) in_plugin(const std::string& plugin, Work&& work) {
  const PluginCode code{plugin, ""};
  return PluginCall(nullptr, code).run(std::forward<Work>(work));
}

}  // namespace triga
