// A static initialiser that leaves the process as if all were well.
#include <cstdlib>

#include "good.h"

static const int value = []() -> int { std::exit(0); }();

TRIGA_PLUGIN(static_exit, "1.0.0") {
  triga::test::register_still(registry, std::to_string(value));
}
