// A bar for work that comes before training: reading data, learning a vocabulary.
#pragma once

#include "base/terminal.h"
#include "triga/progress.h"

namespace triga {

/// Shows on `terminal`, which must outlive it, "tokens of train: 12 of 40 (30 %)", at most ten times
/// a second.
ReportProgress progress_bar(Terminal& terminal);

}  // namespace triga
