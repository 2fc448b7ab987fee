// A plugin with nothing wrong; the host's tests also damage copies of its file.
#include "good.h"

TRIGA_PLUGIN(good, "1.2.3") {
  triga::test::register_still(registry);
}
