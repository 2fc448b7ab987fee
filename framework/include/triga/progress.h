// How far work is that a person waits for, such as reading all of a data set once.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace triga {

/// Told as often as one likes: "tokens of train", 120 of 2000 done. `total` 0: not known.
using ReportProgress = std::function<void(std::string_view what, int64_t done, int64_t total)>;

inline void no_progress(std::string_view, int64_t, int64_t) {}

}  // namespace triga
