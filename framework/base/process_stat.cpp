#include "base/process_stat.h"

#include <fstream>
#include <sstream>

namespace triga {

std::optional<ProcessStat> read_process_stat(const std::filesystem::path& folder) {
  std::ifstream file(folder / "stat");
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  const size_t end_of_name = line.rfind(')');  // a program's name may contain anything
  if (end_of_name == std::string::npos) return std::nullopt;
  std::istringstream fields(line.substr(end_of_name + 1));
  ProcessStat stat;
  fields >> stat.state >> stat.parent;                       // fields 3 and 4
  for (int i = 5; i <= 22; ++i) fields >> stat.start_ticks;  // field 22
  return fields ? std::optional(stat) : std::nullopt;
}

std::optional<ProcessStat> read_process_stat(int64_t pid) {
  return read_process_stat(std::filesystem::path("/proc") / std::to_string(pid));
}

}  // namespace triga
