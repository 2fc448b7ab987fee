// What TRIGA_CHECK throws.
#include "triga/error.h"

namespace triga::detail {

void check_failed(const char* condition, const char* file, int line, const std::string& message) {
  throw Error(
      c10::str("internal error: ", message, "\n  at ", file, ":", line, ": not true: ", condition,
               "\n  This is a bug in Triga or in a plugin; please report it with these lines."));
}

}  // namespace triga::detail
