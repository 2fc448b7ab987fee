#include "launchers/scratch_folder.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "comm/host.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

/// A process that has ended.
pid_t ended_process() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

TEST(ScratchFolder, GoesWithAllInIt) {
  const test::TemporaryFolder parent;
  fs::path path;
  {
    ScratchFolder scratch(parent.path(), "check");
    path = scratch.path();
    EXPECT_NE(scratch.make(), scratch.make());
    EXPECT_TRUE(fs::is_directory(scratch.make()));
  }
  EXPECT_FALSE(fs::exists(path));
}

TEST(ScratchFolder, RemovesThoseOfProcessesThatCrashedOnThisHostAlone) {
  const test::TemporaryFolder parent;
  const std::string ended = std::to_string(ended_process()), living = std::to_string(::getppid());
  const auto make = [&](const std::string& name) {
    fs::create_directories(parent.path() / name / "content");
    return parent.path() / name;
  };
  const fs::path abandoned = make("check-" + host_name() + "-" + ended),
                 used = make("check-" + host_name() + "-" + living),
                 of_another_host = make("check-" + host_name() + "9-" + ended),
                 of_another_purpose = make("other-" + host_name() + "-" + ended);
  const ScratchFolder scratch(parent.path(), "check");
  EXPECT_FALSE(fs::exists(abandoned));
  EXPECT_TRUE(fs::exists(used));
  EXPECT_TRUE(fs::exists(of_another_host));
  EXPECT_TRUE(fs::exists(of_another_purpose));
}

}  // namespace
}  // namespace triga
