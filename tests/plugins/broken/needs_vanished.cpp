// Needs a library that is not found when it is loaded.
#include "good.h"

void vanished();

TRIGA_PLUGIN(needs_vanished, "1.0.0") {
  triga::test::register_still(registry);
  vanished();
}
