#include "base/plugin_call.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/files.h"
#include "base/fixed_text.h"
#include "base/foreign_errors.h"
#include "triga/error.h"

namespace triga {
namespace {

// Initial-exec: reading it in a signal handler allocates nothing.
__attribute__((tls_model("initial-exec"))) thread_local PluginCall* innermost = nullptr;
/// Of any thread, for those that work for another one (OpenMP's, autograd's of a device). Calls of no
/// step, such as a loader's, have no such helpers, and go on beside the one that has.
std::atomic<PluginCall*> last_of_a_step = nullptr;

/// "in forward of layer 'blocks.3' (MyLayer)".
void add_code(FixedText& text, const char* part, const PluginCode& code) noexcept {
  if (code.name.empty()) return;
  text.add("in ");
  if (part != nullptr) {
    text.add(part);
    text.add(" of ");
  }
  text.add(code.name);
}

void add_time(FixedText& text, int64_t step, int64_t microbatch) noexcept {
  if (step >= 0) {
    text.add(", step ");
    text.add(step);
  }
  if (microbatch >= 0) {
    text.add(", microbatch ");
    text.add(microbatch);
  }
}

/// "triga::foo::(anonymous namespace)::MyLayer" -> "MyLayer".
std::string class_name(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> full(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  const std::string name = status == 0 ? full.get() : type.name();
  const size_t end_of_scope = name.substr(0, name.find('<')).rfind("::");
  return end_of_scope == std::string::npos ? name : name.substr(end_of_scope + 2);
}

/// The file that memory of the program comes from.
std::filesystem::path library_of(const void* address) {
  Dl_info info = {};
  return ::dladdr(address, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

}  // namespace

PluginCode detail::code_of(const std::string& what, const std::type_info& type,
                           const void* vtable) {
  static const std::filesystem::path own = library_of(reinterpret_cast<const void*>(&class_name));
  const std::filesystem::path library = library_of(vtable);
  const bool is_plugin = library != own && library.extension() == ".so";  // else the program itself
  return {is_plugin ? library.stem().string() : "", what + " (" + class_name(type) + ")"};
}

PluginCall::PluginCall(const char* part, const PluginCode& code, int64_t step,
                       int64_t microbatch) noexcept
    : part_(part), code_(&code), step_(step), microbatch_(microbatch), outer_(innermost) {
  innermost = this;
  if (step_ >= 0) last_of_a_step.store(this, std::memory_order_relaxed);
}

PluginCall::~PluginCall() {
  innermost = outer_;
  PluginCall* own = this;
  PluginCall* next = outer_ != nullptr && outer_->step_ >= 0 ? outer_ : nullptr;
  last_of_a_step.compare_exchange_strong(own, next, std::memory_order_relaxed);
}

void PluginCall::move_to(const PluginCode& code) noexcept {
  PluginCall* call =
      innermost != nullptr ? innermost : last_of_a_step.load(std::memory_order_relaxed);
  if (call != nullptr) call->code_.store(&code, std::memory_order_relaxed);
}

std::string_view PluginCall::describe(std::span<char> buffer) noexcept {
  const PluginCall* call =
      innermost != nullptr ? innermost : last_of_a_step.load(std::memory_order_relaxed);
  FixedText text(buffer);
  if (call == nullptr) return text.view();
  const PluginCode& code = *call->code_.load(std::memory_order_relaxed);
  if (code.name.empty() && code.plugin.empty()) return text.view();
  text.add(" ");
  add_code(text, call->part_, code);
  if (!code.plugin.empty()) {
    text.add(code.name.empty() ? "in plugin '" : " of plugin '");
    text.add(code.plugin);
    text.add("'");
  }
  add_time(text, call->step_, call->microbatch_);
  return text.view();
}

/// "plugin 'foo': in forward of layer 'blocks.3' (MyLayer), step 12, microbatch 0: " in front.
std::string PluginCall::named(std::string_view what) const {
  const PluginCode& code = *code_.load(std::memory_order_relaxed);
  const std::string plugin = "plugin '" + code.plugin + "': ";
  if (code.plugin.empty() || what.starts_with(plugin)) return std::string(what);
  std::array<char, 512> buffer;
  FixedText place(buffer);
  add_code(place, part_, code);
  add_time(place, step_, microbatch_);
  if (!place.view().empty()) place.add(": ");
  return plugin + std::string(place.view()) + std::string(what);
}

void PluginCall::rethrow() const {
  try {
    rethrow_as_error();
  } catch (const ConfigError&) {
    throw;
  } catch (const CommError&) {
    throw;
  } catch (const FileError& error) {
    throw FileError(named(error.what()), error);
  } catch (const PluginError& error) {
    throw PluginError(named(error.what()));
  } catch (const DataError& error) {
    throw DataError(named(error.what()));
  } catch (const CheckpointError& error) {
    throw CheckpointError(named(error.what()));
  } catch (const DivergedError& error) {
    throw DivergedError(named(error.what()));
  } catch (const OutOfMemoryError& error) {
    throw OutOfMemoryError(named(error.what()));
  } catch (const Error& error) {
    throw Error(named(error.what()), error.status());
  }
}

}  // namespace triga
