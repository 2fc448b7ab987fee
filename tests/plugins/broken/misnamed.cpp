// Its file is named otherwise than the plugin.
#include "good.h"

TRIGA_PLUGIN(properly_named, "1.0.0") {
  triga::test::register_still(registry);
}
