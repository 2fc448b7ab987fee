#include "data/cache_entry.h"

#include <chrono>
#include <thread>

#include "triga/log.h"

namespace triga {

void make_cached_file(FileSystem& files, const Path& path, const std::string& what,
                      const std::function<void(const Path& temporary)>& make) {
  using std::chrono::milliseconds;
  if (exists(files, path)) return;
  make_directories(files, path.parent_path());
  Path lock_path = path, temporary = path;
  lock_path += ".lock";
  temporary += ".part";
  std::unique_ptr<FileLock> lock = files.try_lock(lock_path);
  for (milliseconds waited(0); !lock; waited += milliseconds(50)) {
    if (waited == milliseconds(1000))
      log_info("data", "another process makes ", what, "; this one waits for it");
    std::this_thread::sleep_for(milliseconds(50));
    lock = files.try_lock(lock_path);
  }
  if (exists(files, path)) return;  // made while this one waited
  try {
    make(temporary);
  } catch (...) {  // what is half done may be what filled the disk
    remove_all(files, temporary);
    throw;
  }
  files.rename(temporary, path);
  files.sync_directory(path.parent_path());
}

}  // namespace triga
