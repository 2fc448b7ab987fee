// Another plugin that calls itself `good`.
#include "good.h"

TRIGA_PLUGIN(good, "9.9.9") {
  triga::test::register_still(registry);
}
