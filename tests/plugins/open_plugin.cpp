// What `triga __open-plugin FILE` does, alone: the child process in which a plugin is opened for
// the first time.
#include <cstdio>

#include "plugin_host/trial.h"
#include "triga/error.h"

int main(int argc, char** argv) {
  if (argc != 2) return static_cast<int>(triga::ExitStatus::kUsage);
  try {
    std::puts(triga::open_for_trial(argv[1]).c_str());
    return 0;
  } catch (const triga::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.status());
  }
}
