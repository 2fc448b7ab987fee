// File lists: what the `files` of a dataset mean.
#pragma once

#include <string>
#include <vector>

namespace triga {

/// The files that the patterns name, each once, in the order of the patterns; what one pattern
/// names is sorted. A pattern is a file; a folder (all files below it); or a glob with * ? [...] in
/// a name and ** for any number of folders. Names that begin with a dot are matched only when the
/// pattern says the dot; ** follows no links to folders. Throws: DataError when a pattern matches
/// no file, or a folder cannot be read.
std::vector<std::string> expand_files(const std::vector<std::string>& patterns);

/// One file, which is no pattern. Throws: DataError when there is none, with the part of its path
/// that exists, and what fetches data sets.
void require_file(const std::string& path);

}  // namespace triga
