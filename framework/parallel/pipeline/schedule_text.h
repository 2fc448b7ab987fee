// Schedules as text: a user's own from a file, and pictures for people.
//
// The file has a line a rank, and in it the actions in their order, separated by commas: the stage,
// what is done (F, B, I, W) and the microbatch. Empty cells and spaces do not count; `#` begins a
// comment. (The format in which PyTorch's pipelining writes its schedules.)
//
//   0F0, 0F1, 0B0, 0F2, 0B1, 0B2
//   1F0, 1B0, 1F1, 1B1, 1F2, 1B2
#pragma once

#include <string>
#include <string_view>

#include "parallel/pipeline/schedule.h"
#include "parallel/pipeline/simulate.h"

namespace triga {

/// `where`: the file, for messages. Throws: ConfigError with every line that is wrong, and what
/// check_schedule() finds.
Schedule schedule_from_csv(std::string_view text, const std::string& where);
std::string to_csv(const Schedule& schedule);

/// A line a rank; time goes to the right, at most `columns` characters wide. An action is its
/// letter and microbatch, as long as it takes; where a rank has several stages, small letters for
/// the odd ones.
std::string to_grid(const Simulation& simulation, int columns);

/// The same as a drawing, a rank a row, with a legend. `title`: above it.
std::string to_svg(const Simulation& simulation, const std::string& title);

}  // namespace triga
