// Names in a run's folder `checkpoints/`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace triga {

inline constexpr char kCheckpointsFolder[] = "checkpoints";
inline constexpr char kLatestLink[] = "latest";
inline constexpr char kBestLink[] = "best";

// What may lie beside `step-00000500` when a save was interrupted.
inline constexpr std::string_view kDraftSuffix = ".tmp";    // not whole: to be removed
inline constexpr std::string_view kTrashSuffix = ".trash";  // to be removed
inline constexpr std::string_view kReplacedSuffix =
    ".replaced";  // whole: valid where its successor is missing

/// "step-00000500".
std::string checkpoint_name(int64_t step);

/// The step of `step-00000500` (with `suffix` after it); nothing for other names.
std::optional<int64_t> step_of(std::string_view name, std::string_view suffix = "");

/// "step-00000500.9f31c2aa.tmp": a checkpoint in the making. `start`: hexadecimal digits, other ones
/// at every start of a run, so that ranks of an earlier start that still write (their first rank's
/// host died) never meet a draft of this one. "": "step-00000500.tmp".
std::string draft_name(int64_t step, std::string_view start);

/// The step of a draft of any start; nothing for other names.
std::optional<int64_t> step_of_draft(std::string_view name);

}  // namespace triga
