#include "checkpoint/layout.h"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace triga {

std::string checkpoint_name(int64_t step) {
  return fmt::format("step-{:08}", step);
}

std::optional<int64_t> step_of(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  constexpr std::string_view kPrefix = "step-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  const auto digits = name.substr(kPrefix.size());
  int64_t step = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  if (result.ec != std::errc() || step < 0 || checkpoint_name(step) != name) return std::nullopt;
  return step;
}

std::string draft_name(int64_t step, std::string_view start) {
  return fmt::format("{}{}{}{}", checkpoint_name(step), start.empty() ? "" : ".", start,
                     kDraftSuffix);
}

std::optional<int64_t> step_of_draft(std::string_view name) {
  if (!name.ends_with(kDraftSuffix)) return std::nullopt;
  name.remove_suffix(kDraftSuffix.size());
  const size_t dot = name.find('.');
  if (dot == std::string_view::npos) return step_of(name);
  const std::string_view start = name.substr(dot + 1);
  if (start.empty() || start.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return std::nullopt;
  return step_of(name.substr(0, dot));
}

}  // namespace triga
