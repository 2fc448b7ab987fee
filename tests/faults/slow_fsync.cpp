// Stands before libc's fsync (LD_PRELOAD): the first one of a rank after the file SLOW_FSYNC_AFTER is there takes
// SLOW_FSYNC_SECONDS, on rank SLOW_FSYNC_RANK alone. A save to a disk that is slow for one rank.
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>

namespace {

std::atomic<bool> was_slow = false;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

extern "C" int fsync(int descriptor) {
  static const auto own = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "fsync"));
  const std::string rank = variable("OMPI_COMM_WORLD_RANK");
  const bool is_due = !rank.empty() && rank == variable("SLOW_FSYNC_RANK") &&
                      ::access(variable("SLOW_FSYNC_AFTER").c_str(), F_OK) == 0;
  if (is_due && !was_slow.exchange(true)) {
    timespec left = {std::atoi(variable("SLOW_FSYNC_SECONDS").c_str()), 0};
    while (::nanosleep(&left, &left) != 0) {
    }
  }
  return own(descriptor);
}
