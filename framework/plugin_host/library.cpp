#include "plugin_host/library.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <boost/dll/shared_library.hpp>

#include <cstdlib>

#include "base/plugin_call.h"

namespace triga {
namespace {

std::string demangled(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), &std::free);
  return status == 0 ? name.get() : symbol;
}

/// What dlopen() said, in words of ours where they are known (glibc's messages, elf/dl-load.c and
/// dl-lookup.c).
std::string explain(const std::string& text) {
  constexpr std::string_view kMissingLibrary = ": cannot open shared object file";
  constexpr std::string_view kMissingSymbol = "undefined symbol: ";
  if (const auto at = text.find(kMissingLibrary); at != std::string::npos)
    return c10::str("it needs the library ", text.substr(0, at),
                    ", which was not found: install it, or add its folder to LD_LIBRARY_PATH");
  if (const auto at = text.find(kMissingSymbol); at != std::string::npos) {
    auto symbol = text.substr(at + kMissingSymbol.size());
    symbol = symbol.substr(0, symbol.find_first_of(", \t("));
    return c10::str("it needs ", demangled(symbol),
                    ", which neither Triga nor a library that it names has: link the "
                    "library that has it, or build the plugin again with this Triga");
  }
  return text;
}

bool is_name(std::string_view name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string_view::npos;
}

PluginError refused(const PluginFile& file, const std::string& why) {
  return PluginError(c10::str(file.path.string(), " can not be opened as a plugin: ", why));
}

}  // namespace

const PluginDescriptor& load_plugin(const PluginFile& file) {
  // RTLD_NODELETE is what keeps it: the handle itself may go.
  const auto mode =
      static_cast<boost::dll::load_mode::type>(boost::dll::load_mode::rtld_now | RTLD_NODELETE);
  boost::dll::fs::error_code error;
  ::dlerror();
  const boost::dll::shared_library library(file.path.string(), error, mode);
  if (error) {
    const char* text = ::dlerror();
    throw refused(file, text ? explain(text) : error.message());
  }
  if (!library.has("triga_plugin"))
    throw refused(
        file,
        "it has a stamp, but exports no symbol `triga_plugin`: TRIGA_PLUGIN must stand in one of "
        "its sources, outside of any namespace and condition");
  const auto& descriptor = library.get<const PluginDescriptor>("triga_plugin");
  if (!descriptor.name || !descriptor.version || !descriptor.register_kinds ||
      !is_name(descriptor.name))
    throw refused(file, "its descriptor is damaged, or its name is not of a-z, 0-9 and _");
  return descriptor;
}

Registry registered_kinds(const PluginDescriptor& descriptor, const PluginFile& file) {
  Registry registry;
  registry.set_plugin(descriptor.name);
  try {
    in_plugin(descriptor.name, [&] { descriptor.register_kinds(registry); });
  } catch (const Error& error) {
    throw refused(file, c10::str("it threw while it registered its kinds: ", error.what()));
  }
  return registry;
}

}  // namespace triga
