// Exceptions of LibTorch and the standard library, as Errors with the exit status that they mean.
#pragma once

namespace triga {

/// In a catch block: throws what was caught as an Error. Errors go on as they are.
[[noreturn]] void rethrow_as_error();

}  // namespace triga
