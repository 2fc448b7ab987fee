// Control groups: the limits that a container or a batch system sets for this process.
#pragma once

#include <string>
#include <vector>

namespace triga {

/// Folders, each ending in '/', in which this process's limits of a controller ("memory", "cpu")
/// may stand: its own group and all that it is part of. Of version 2, and of version 1 where a
/// system still has it.
struct ControlGroups {
  std::vector<std::string> version2, version1;
};
/// `root`: of the file system, for tests.
ControlGroups control_groups(const std::string& controller, const std::string& root = "");

}  // namespace triga
