#include "config/resume_difference.h"

#include <algorithm>
#include <array>

#include "config/scalar.h"
#include "config/yaml.h"

namespace triga {
namespace {

using Kind = ConfigNode::Kind;

// What changes nothing in a run.
constexpr std::array<std::string_view, 5> kFree = {
    "parallel", "launch", "log", "checkpoint.asynchronous", "checkpoint.every_minutes"};
constexpr std::array<std::string_view, 3> kLimits = {"train.max_steps", "train.max_epochs",
                                                     "train.max_minutes"};

template <size_t N>
bool contains(const std::array<std::string_view, N>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::string text_of(const ConfigNode* node) {
  if (node == nullptr) return "(none)";
  auto text = write_json(*node);
  text.pop_back();  // the newline
  return text;
}

bool is_larger_limit(const std::string& path, const ConfigNode& before, const ConfigNode& now) {
  const auto old_limit = parse_number(before.scalar), new_limit = parse_number(now.scalar);
  return contains(kLimits, path) && old_limit && new_limit && *new_limit > *old_limit;
}

bool is_allowed(const std::string& path, const ConfigNode* before, const ConfigNode* now) {
  if (contains(kFree, path)) return true;
  if (before == nullptr || now == nullptr)  // a key that another version has, and that is not set
    return (before != nullptr ? before : now)->kind == Kind::kNull;
  if (path == "learning_rate_schedule.decay_steps" && now->kind == Kind::kNull) return true;
  return is_larger_limit(path, *before, *now);
}

using IsAllowed = bool(const std::string& path, const ConfigNode* before, const ConfigNode* now);

bool is_never_allowed(const std::string&, const ConfigNode*, const ConfigNode*) {
  return false;
}

void compare(const std::string& path, const ConfigNode* before, const ConfigNode* now,
             IsAllowed& passes, std::vector<ConfigDifference>& differences) {
  if (passes(path, before, now) || text_of(before) == text_of(now)) return;
  const bool are_mappings = before != nullptr && now != nullptr && before->kind == Kind::kMapping &&
                            now->kind == Kind::kMapping;
  if (!are_mappings) {
    differences.push_back({path, text_of(before), text_of(now)});
    return;
  }
  const auto inner = [&path](const std::string& key) {
    return path.empty() ? key : path + "." + key;
  };
  for (const auto& entry : before->entries)
    compare(inner(entry.key), &entry.value, now->find(entry.key), passes, differences);
  for (const auto& entry : now->entries)
    if (before->find(entry.key) == nullptr)
      compare(inner(entry.key), nullptr, &entry.value, passes, differences);
}

}  // namespace

std::vector<ConfigDifference> differences_for_resume(const ConfigNode& before,
                                                     const ConfigNode& now) {
  std::vector<ConfigDifference> differences;
  compare("", &before, &now, is_allowed, differences);
  return differences;
}

std::vector<ConfigDifference> all_differences(const ConfigNode& before, const ConfigNode& now) {
  std::vector<ConfigDifference> differences;
  compare("", &before, &now, is_never_allowed, differences);
  return differences;
}

}  // namespace triga
