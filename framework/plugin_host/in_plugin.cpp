#include "plugin_host/in_plugin.h"

#include <c10/util/Exception.h>

#include <new>
#include <string_view>

#include "triga/error.h"

namespace triga {
namespace {

std::string named(const std::string& plugin, std::string_view what) {
  if (plugin.empty()) return std::string(what);
  const auto prefix = c10::str("plugin '", plugin, "': ");
  return what.starts_with(prefix) ? std::string(what) : prefix + std::string(what);
}

}  // namespace

void rethrow_with_plugin(const std::string& plugin) {
  try {
    throw;
  } catch (const ConfigError&) {
    throw;
  } catch (const PluginError& error) {
    throw PluginError(named(plugin, error.what()));
  } catch (const DataError& error) {
    throw DataError(named(plugin, error.what()));
  } catch (const CheckpointError& error) {
    throw CheckpointError(named(plugin, error.what()));
  } catch (const CommError& error) {
    throw CommError(named(plugin, error.what()));
  } catch (const DivergedError& error) {
    throw DivergedError(named(plugin, error.what()));
  } catch (const OutOfMemoryError& error) {
    throw OutOfMemoryError(named(plugin, error.what()));
  } catch (const Error& error) {
    throw Error(named(plugin, error.what()), error.status());
  } catch (const c10::OutOfMemoryError& error) {
    throw OutOfMemoryError(named(plugin, error.what_without_backtrace()));
  } catch (const c10::Error& error) {
    throw Error(named(plugin, error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    throw OutOfMemoryError(named(plugin, "out of memory"));
  } catch (const std::exception& error) {
    throw Error(named(plugin, error.what()));
  } catch (...) {
    throw Error(named(plugin, "threw something that is not a std::exception"));
  }
}

}  // namespace triga
