// What a rank says in place of its part of an exchange of texts, where it could not do it, so that
// all ranks know and none waits.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "triga/error.h"

namespace triga {

inline constexpr char kProblem = '!';  // before the problem, in words

/// That of the first rank that has one.
inline std::optional<std::string> problem_in(const std::vector<std::string>& texts) {
  for (const std::string& text : texts)
    if (!text.empty() && text[0] == kProblem) return text.substr(1);
  return std::nullopt;
}

/// What one rank of a host makes and the others open: all ranks of the group have it, or none. The
/// address of what was made goes through `say`, which gathers a text of every rank. Returns why none
/// has it. Collective. `make()` and `open(addresses)` are called on ranks for which the flags say so;
/// they may throw CommError.
template <class Say, class Make, class Open>
std::optional<std::string> make_and_open(bool makes, bool opens, const Say& say, const Make& make,
                                         const Open& open) {
  const auto attempt = [](const auto& action) -> std::string {
    try {
      return action();
    } catch (const CommError& error) {
      return kProblem + std::string(error.what());
    }
  };
  const std::vector<std::string> addresses = say(makes ? attempt(make) : "", /*is_open=*/false);
  const auto problem = problem_in(addresses);
  const auto open_one = [&] {
    open(addresses);
    return std::string();
  };
  const std::vector<std::string> outcomes =
      say(opens && !problem ? attempt(open_one) : "", /*is_open=*/true);
  return problem ? problem : problem_in(outcomes);
}

}  // namespace triga
