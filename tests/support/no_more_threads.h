// NoMoreThreads: a system that starts no thread any more.
#pragma once

#include <pthread.h>

#include <cstddef>

namespace triga::test {

/// While it lives, std::thread and std::async throw std::system_error: the stack of a thread would
/// be larger than the space of addresses.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_attr_t attributes;
    pthread_getattr_default_np(&attributes);
    pthread_attr_getstacksize(&attributes, &usual_bytes_);
    pthread_attr_destroy(&attributes);
    set(size_t{1} << 47);
  }
  ~NoMoreThreads() { set(usual_bytes_); }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;

 private:
  static void set(size_t stack_bytes) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack_bytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
  }

  size_t usual_bytes_ = 0;
};

}  // namespace triga::test
