#include "metrics/append_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/files.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

/// No file grows beyond so many bytes meanwhile, as on a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    ::signal(SIGXFSZ, SIG_DFL);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  rlimit before_ = {};
};

TEST(AppendFile, HoldsWholeRecordsAlsoAfterADiskThatWasFull) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "records.txt";
  AppendFile file(path);
  file.append("the first record\n");
  {
    const FullDisk full(25);
    file.append("one that does not fit\n");
  }
  file.append("one after it\n");
  EXPECT_EQ(read_text(posix_files(), path), "the first record\none after it\n");
}

}  // namespace
}  // namespace triga
