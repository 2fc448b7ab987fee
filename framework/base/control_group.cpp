#include "base/control_group.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace triga {
namespace {

/// `mount` + `group` and every folder above it, up to the mount. A group outside the part of the
/// tree that is mounted here shows its limits at the mount itself.
std::vector<std::string> with_parents(const std::string& mount, const std::string& group) {
  std::vector<std::string> folders;
  for (std::filesystem::path path = group; path.has_relative_path(); path = path.parent_path()) {
    const std::string folder = mount + path.string() + "/";
    if (path.string().find("..") == std::string::npos && std::filesystem::is_directory(folder))
      folders.push_back(folder);
  }
  folders.push_back(mount + "/");
  return folders;
}

bool lists(const std::string& controllers, const std::string& controller) {
  std::istringstream words(controllers);
  for (std::string word; std::getline(words, word, ',');)
    if (word == controller) return true;
  return false;
}

}  // namespace

ControlGroups control_groups(const std::string& controller, const std::string& root) {
  ControlGroups groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // "0::/a/b", "4:cpu,cpuacct:/a/b"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty())
      groups.version2 = with_parents(root + "/sys/fs/cgroup", group);
    else if (lists(controllers, controller))
      groups.version1 = with_parents(root + "/sys/fs/cgroup/" + controller, group);
  }
  return groups;
}

}  // namespace triga
