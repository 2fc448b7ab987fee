// Globs by walking the pattern one name at a time.
#include "data/file_list.h"

#include <fnmatch.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "triga/error.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

bool has_wildcard(const std::string& name) {
  return name.find_first_of("*?[") != std::string::npos;
}

bool is_hidden(const fs::path& path) {
  return path.filename().native().starts_with('.');
}

std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::vector<fs::directory_entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder.empty() ? "." : folder, error), end; !error && it != end;
       it.increment(error))
    entries.push_back(*it);
  if (error)
    throw DataError(c10::str(folder.string(), ": cannot read this folder: ", error.message()));
  return entries;
}

/// All folders below `folder`, and itself.
void add_folders(const fs::path& folder, std::vector<fs::path>& folders) {
  folders.push_back(folder);
  for (const auto& entry : entries_of(folder))
    if (entry.is_directory() && !entry.is_symlink() && !is_hidden(entry.path()))
      add_folders(folder / entry.path().filename(), folders);
}

void add_files_below(const fs::path& folder, std::vector<std::string>& files) {
  std::vector<fs::path> folders;
  add_folders(folder, folders);
  for (const auto& each : folders)
    for (const auto& entry : entries_of(each))
      if (entry.is_regular_file() && !is_hidden(entry.path()))
        files.push_back((each / entry.path().filename()).string());
}

/// Adds what the names from `at` on match below `base`.
void match(const fs::path& base, const std::vector<std::string>& names, size_t at,
           std::vector<std::string>& files) {
  if (at == names.size()) {
    if (fs::is_regular_file(base)) files.push_back(base.string());
    return;
  }
  const std::string& name = names[at];
  if (name == "**") {
    if (at + 1 == names.size()) return add_files_below(base, files);
    std::vector<fs::path> folders;
    add_folders(base, folders);
    for (const auto& folder : folders) match(folder, names, at + 1, files);
  } else if (has_wildcard(name)) {
    for (const auto& entry : entries_of(base)) {
      const std::string found = entry.path().filename().string();
      const bool is_last = at + 1 == names.size();
      if (fnmatch(name.c_str(), found.c_str(), FNM_PERIOD) == 0 &&
          (is_last || entry.is_directory()))
        match(base / found, names, at + 1, files);
    }
  } else if (fs::exists(base / name)) {
    match(base / name, names, at + 1, files);
  }
}

std::vector<std::string> expand(const std::string& pattern) {
  std::vector<std::string> files;
  const fs::path path(pattern);
  if (fs::is_directory(path)) {
    add_files_below(path, files);
  } else if (fs::is_regular_file(path)) {  // also one whose name holds a wildcard
    files.push_back(pattern);
  } else if (has_wildcard(pattern)) {
    const fs::path relative = path.relative_path();
    match(path.root_path(), {relative.begin(), relative.end()}, 0, files);
  }
  std::sort(files.begin(), files.end());
  files.erase(std::unique(files.begin(), files.end()),
              files.end());  // a/**/**/b can match one twice
  return files;
}

[[noreturn]] void throw_none(const std::string& pattern, const char* what) {
  fs::path folder = fs::path(pattern).parent_path();
  while (!folder.empty() && (has_wildcard(folder.string()) || !fs::exists(folder)) &&
         folder != folder.parent_path())
    folder = folder.parent_path();
  throw DataError(
      c10::str(pattern, ": ", what, "; the part of the path that exists is '",
               folder.empty() ? "." : folder.string(),
               "'. `triga data list` names the data sets that `triga data get` can fetch."));
}

}  // namespace

std::vector<std::string> expand_files(const std::vector<std::string>& patterns) {
  std::vector<std::string> files;
  std::set<std::string> seen;
  for (const auto& pattern : patterns) {
    const auto found = expand(pattern);
    if (found.empty())
      throw_none(pattern, has_wildcard(pattern) ? "no file matches this pattern" : "no such file");
    for (const auto& file : found)
      if (seen.insert(fs::path(file).lexically_normal().string()).second) files.push_back(file);
  }
  return files;
}

void require_file(const std::string& path) {
  std::error_code error;
  if (!fs::exists(path, error)) throw_none(path, "no such file");
}

}  // namespace triga
