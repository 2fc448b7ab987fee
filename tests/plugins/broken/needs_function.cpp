// Calls a function that nobody has.
#include "good.h"

namespace triga {
void function_of_another_version(int64_t count);
}

TRIGA_PLUGIN(needs_function, "1.0.0") {
  triga::test::register_still(registry);
  triga::function_of_another_version(3);
}
