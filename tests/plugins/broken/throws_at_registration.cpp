// Registers one kind, then throws.
#include <stdexcept>

#include "good.h"

TRIGA_PLUGIN(throws_at_registration, "1.0.0") {
  triga::test::register_still(registry);
  throw std::runtime_error("no licence for the still schedule");
}
