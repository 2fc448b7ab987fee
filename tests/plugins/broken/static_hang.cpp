// A static initialiser that never ends, in a process that does not mind signals.
#include <unistd.h>
#include <csignal>

#include "good.h"

static const int value = []() -> int {
  std::signal(SIGTERM, SIG_IGN);
  for (;;) ::pause();
}();

TRIGA_PLUGIN(static_hang, "1.0.0") {
  triga::test::register_still(registry, std::to_string(value));
}
