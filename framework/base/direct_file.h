// A file that is written past the page cache (O_DIRECT): the disk takes the bytes from where they
// lie. For large files that nobody reads soon, as checkpoints are: the copy into the page cache is
// time of a core that the steps beside an asynchronous save do not get, and many times as much where
// the cache has to find new memory.
#pragma once

#include <memory>

#include "base/files.h"

namespace triga {

/// Makes the file, or empties the one that is there. null: the file system cannot do it, or is none
/// that gains by it (ext4 and XFS do; over a network the page cache sends ahead). Throws: FileError.
std::unique_ptr<WritableFile> create_direct(const Path& path);

}  // namespace triga
