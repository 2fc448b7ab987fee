// absolute_path: where a path leads, as text.
#pragma once

#include <filesystem>

namespace triga {

/// Absolute and normal (std::filesystem::path::lexically_normal), also of what does not exist. Links
/// stay as they are, but for one that is followed by "..": that leads out of where the link points
/// to, as it does for the kernel.
std::filesystem::path absolute_path(const std::filesystem::path& path);

/// "runs/a" of "runs/a/": what lies beside it, or in a link's place, is named after "a".
std::filesystem::path without_slash_at_end(std::filesystem::path path);

}  // namespace triga
