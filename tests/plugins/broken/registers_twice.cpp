// Two kinds of one name.
#include "good.h"

TRIGA_PLUGIN(registers_twice, "1.0.0") {
  triga::test::register_still(registry);
  triga::test::register_still(registry);
}
