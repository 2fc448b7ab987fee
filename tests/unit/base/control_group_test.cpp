#include "base/control_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

TEST(ControlGroups, AreThisProcesssGroupAndAllAboveIt) {
  const test::TemporaryFolder root;
  const std::string mount = root / "sys/fs/cgroup";
  std::filesystem::create_directories(mount + "/job/step");
  std::filesystem::create_directories(mount + "/memory/old");
  std::filesystem::create_directories(root / "proc/self");
  std::ofstream(root / "proc/self/cgroup") << "4:cpu,memory:/old\n0::/job/step\n";
  const ControlGroups groups = control_groups("memory", root.path().string());
  EXPECT_THAT(groups.version2,
              ::testing::ElementsAre(mount + "/job/step/", mount + "/job/", mount + "/"));
  EXPECT_THAT(groups.version1, ::testing::ElementsAre(mount + "/memory/old/", mount + "/memory/"));
}

TEST(ControlGroups, OutsideOfWhatIsMountedShowAtTheMount) {
  const test::TemporaryFolder root;
  std::filesystem::create_directories(root / "sys/fs/cgroup");
  std::filesystem::create_directories(root / "proc/self");
  std::ofstream(root / "proc/self/cgroup") << "0::/../../elsewhere\n";
  EXPECT_THAT(control_groups("memory", root.path().string()).version2,
              ::testing::ElementsAre(root / "sys/fs/cgroup/"));
}

}  // namespace
}  // namespace triga
