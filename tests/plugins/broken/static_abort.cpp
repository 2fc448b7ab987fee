// A static initialiser that crashes.
#include <cstdlib>

#include "good.h"

static const int value = []() -> int { std::abort(); }();

TRIGA_PLUGIN(static_abort, "1.0.0") {
  triga::test::register_still(registry, std::to_string(value));
}
