// Throws what is no exception.
#include "good.h"

TRIGA_PLUGIN(throws_a_number, "1.0.0") {
  triga::test::register_still(registry);
  throw 42;
}
