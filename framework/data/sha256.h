// SHA-256 (FIPS 180-4) of files, against damage and against an address that gives something else
// than it did.
#pragma once

#include <string>

#include "base/files.h"

namespace triga {

/// 64 lowercase hexadecimal digits. Throws: FileError.
std::string sha256_of_file(FileSystem& files, const Path& path);

}  // namespace triga
