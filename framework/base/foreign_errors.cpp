#include "base/foreign_errors.h"

#include <c10/util/Exception.h>

#include <new>
#include <string>
#include <system_error>

#include "triga/error.h"

namespace triga {
namespace {

/// LibTorch has a type for devices that are full, and none for the host.
bool is_out_of_memory(const std::string& message) {
  return message.find("DefaultCPUAllocator") != std::string::npos ||
         message.find("not enough memory") != std::string::npos;
}

}  // namespace

void rethrow_as_error() {
  try {
    throw;
  } catch (const Error&) {
    throw;
  } catch (const c10::OutOfMemoryError& error) {
    throw OutOfMemoryError(error.what_without_backtrace());
  } catch (const std::bad_alloc&) {
    throw OutOfMemoryError("out of memory");
  } catch (const c10::Error& error) {
    const std::string message = error.what_without_backtrace();
    if (is_out_of_memory(message)) throw OutOfMemoryError("out of memory: " + message);
    throw Error(message);
  } catch (const std::system_error& error) {
    if (error.code() != std::errc::resource_unavailable_try_again) throw Error(error.what());
    throw OutOfMemoryError(c10::str(
        error.what(),
        ": no further thread or process can be started; a limit of processes "
        "(ulimit -u, that of the job or its container) or of memory (ulimit -v) is reached"));
  } catch (const std::exception& error) {
    throw Error(error.what());
  } catch (...) {
    throw Error("threw something that is not a std::exception");
  }
}

}  // namespace triga
