// A static initialiser that throws, which no caller can catch.
#include <stdexcept>

#include "good.h"

static const int value = []() -> int {
  throw std::runtime_error("thrown by a static initialiser");
}();

TRIGA_PLUGIN(static_throw, "1.0.0") {
  triga::test::register_still(registry, std::to_string(value));
}
