// What a rank says in place of its part of an exchange of texts, where it could not do it, so that
// all ranks know and none waits.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace triga {

inline constexpr char kProblem = '!';  // before the problem, in words

/// That of the first rank that has one.
inline std::optional<std::string> problem_in(const std::vector<std::string>& texts) {
  for (const std::string& text : texts)
    if (!text.empty() && text[0] == kProblem) return text.substr(1);
  return std::nullopt;
}

}  // namespace triga
