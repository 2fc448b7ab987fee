#include "comm/start_watch.h"

#include <c10/util/StringUtil.h>

#include "comm/host.h"

namespace triga {

StartWatch::StartWatch(std::chrono::milliseconds limit,
                       const std::function<void(const std::string&)>& on_late) {
  thread_ = std::thread([this, limit, on_late] {
    std::unique_lock lock(mutex_);
    if (wake_.wait_for(lock, limit, [this] { return is_over_; })) return;
    on_late(c10::str("MPI did not start within ", static_cast<double>(limit.count()) / 1000.0,
                     " s on host ", host_name(),
                     ": some rank of this job did not come. Is a process of it stopped, does a "
                     "host not answer, or is there a firewall between the hosts?"));
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
