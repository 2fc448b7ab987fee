#include "metrics/json_lines.h"

#include <nlohmann/json.hpp>

#include "triga/log.h"

namespace triga {
namespace {

bool belongs_to(const std::string& line, int64_t last_step, int64_t last_evaluation) {
  const auto object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return false;
  const auto step = object.find("step");
  if (step == object.end() || !step->is_number_integer()) return false;
  const auto split = object.find("split");
  const bool is_evaluation = split != object.end() && *split == "validation";
  return step->get<int64_t>() <= (is_evaluation ? last_evaluation : last_step);
}

/// Writes the file anew if a line of it does not belong to the run up to `last_step`; gives its
/// path.
std::string trim(FileSystem& files, const Path& path, int64_t last_step, int64_t last_evaluation) {
  if (!exists(files, path)) return path.string();
  const std::string text = read_text(files, path);
  std::string kept;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // cut by a crash
    const std::string line = text.substr(begin, end - begin);
    if (belongs_to(line, last_step, last_evaluation)) kept += line + "\n";
    begin = end + 1;
  }
  if (kept.size() != text.size()) {
    log_info("metrics", path.string(), ": dropped what was written after step ", last_step);
    atomic_write(files, path, kept);
  }
  return path.string();
}

}  // namespace

JsonLinesSink::JsonLinesSink(FileSystem& files, const Path& path, int64_t last_step,
                             int64_t last_evaluation)
    : file_(trim(files, path, last_step, last_evaluation)) {}

void JsonLinesSink::record(const MetricRecord& record) {
  nlohmann::ordered_json object = {{"step", record.step}};
  if (!record.split.empty()) object["split"] = record.split;
  for (const auto& [name, value] : record.values) object[name] = value;
  // Plugins name metrics: what is not UTF-8 is shown as such rather than lost.
  file_.append(object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
               "\n");
}

}  // namespace triga
