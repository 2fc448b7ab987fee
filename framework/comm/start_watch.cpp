#include "comm/start_watch.h"

#include <unistd.h>

#include <iostream>

#include "comm/host.h"
#include "triga/error.h"

namespace triga {

StartWatch::StartWatch(std::chrono::milliseconds limit) {
  thread_ = std::thread([this, limit] {
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, limit, [this] { return is_over_; })) return;
    std::cerr
        << "triga: error: MPI did not start within " << static_cast<double>(limit.count()) / 1000.0
        << " s on host " << host_name()
        << ": some rank of this job did not come. Is a process of it stopped, does a host not "
           "answer, or is there a firewall between the hosts?"
        << std::endl;
    ::_exit(static_cast<int>(ExitStatus::kCommunication));
  });
}

StartWatch::~StartWatch() {
  {
    const std::lock_guard lock(mutex_);
    is_over_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

}  // namespace triga
