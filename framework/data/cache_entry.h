// A file in the cache that several processes need and one of them makes. It is complete or not
// there: it is made beside its place and then renamed.
#pragma once

#include <functional>
#include <string>

#include "base/files.h"

namespace triga {

/// `path`, after `make` has written it, here or in another process or at an earlier time. `make`
/// gets the path to write to, which may hold the rest of a process that died. `what`: for the line
/// of the log that says that one waits for another process. Throws: FileError, and what `make`
/// throws.
void make_cached_file(FileSystem& files, const Path& path, const std::string& what,
                      const std::function<void(const Path& temporary)>& make);

}  // namespace triga
