#include "launchers/plugin_new.h"

#include <fmt/format.h>

#include <sstream>

#include "base/files.h"
#include "launchers/programs.h"
#include "plugin_host/search_path.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWord = "my_plugin";  // the name that the files of the scaffold have

/// A plugin of one part, and the files that it takes of the whole scaffold.
struct Part {
  std::string name;
  std::vector<std::string> shared;
};
const std::vector<Part>& parts() {
  static const std::vector<Part> all = {
      {"dataset", {"CMakeLists.txt", ".gitignore", "story.txt", "sentences.h", "sentences.cpp"}},
      {"optimizer", {"CMakeLists.txt", ".gitignore", "story.txt"}},
      {"metric", {"CMakeLists.txt", ".gitignore", "story.txt"}}};
  return all;
}

void check_name(const CommandEnvironment& environment, const std::string& name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyz0123456789_";
  constexpr size_t kLongest = 64;
  const bool is_name = !name.empty() && name.size() <= kLongest && name[0] >= 'a' &&
                       name[0] <= 'z' && name.find_first_not_of(kAllowed) == name.npos;
  if (!is_name)
    throw ConfigError(
        fmt::format("'{}' cannot be the name of a plugin; allowed: a-z, 0-9 and _, a letter first, "
                    "up to {}: it names the file NAME.so and is part of C++ names",
                    name, kLongest));
  if (name == "core")
    throw ConfigError("'core' means Triga itself in 'triga describe'; choose another name");
  for (const auto& plugin : PluginSearchPath(environment.plugin_folders).all())
    if (plugin.name == name)
      throw ConfigError(
          fmt::format("there is a plugin '{}' already, {}, and a run can open only one of a name",
                      name, plugin.path.string()));
}

std::string with_name(std::string text, const std::string& name) {
  for (size_t at = 0; (at = text.find(kWord, at)) != text.npos; at += name.size())
    text.replace(at, kWord.size(), name);
  return text;
}

/// What a new plugin is made of.
std::vector<fs::path> files_of(const fs::path& share, const std::string& part) {
  std::vector<fs::path> found;
  for (const Part& known : parts())
    if (known.name == part)
      for (const std::string& name : known.shared) found.push_back(share / "scaffold" / name);
  const fs::path own = part.empty() ? share / "scaffold" : share / "scaffold_parts" / part;
  if (!fs::is_directory(own))
    throw ConfigError(fmt::format(
        "{} is not there: this is no whole install or build tree of Triga", own.string()));
  for (const auto& entry : fs::directory_iterator(own)) found.push_back(entry.path());
  return found;
}

/// The lines of the README that are commands.
std::string next_lines(const CommandEnvironment& environment, const fs::path& folder,
                       const std::string& name) {
  std::string lines = fmt::format("{} is there. Build it, check it, train it:\n\n",
                                  (folder / name).lexically_normal().string());
  if (folder != ".") lines += fmt::format("    cd {}\n", shell_word(folder.string()));
  std::istringstream readme(read_text(posix_files(), folder / name / "README.md"));
  for (std::string line; std::getline(readme, line);)
    if (line.starts_with("    ")) lines += line + "\n";
  constexpr std::string_view kPrefix = "=PREFIX";
  lines.replace(lines.find(kPrefix) + 1, kPrefix.size() - 1,
                shell_word(environment.prefix.string()));
  return lines + "\nIts README.md says what each file is.\n";
}

}  // namespace

std::vector<std::string> scaffold_parts() {
  std::vector<std::string> names;
  for (const Part& part : parts()) names.push_back(part.name);
  return names;
}

std::string new_plugin(const CommandEnvironment& environment, const std::string& name,
                       const fs::path& folder, const std::string& part) {
  check_name(environment, name);
  const std::vector<fs::path> sources = files_of(environment.prefix / "share" / "triga", part);
  if (!fs::is_directory(folder))
    throw ConfigError(fmt::format("--in {}: there is no such folder", folder.string()));
  const fs::path target = (folder / name).lexically_normal();
  FileSystem& files = posix_files();
  const fs::path draft = folder / fmt::format(".{}.part", name);
  try {
    if (files.kind(target))
      throw ConfigError(fmt::format("{} is there already; nothing was written", target.string()));
    remove_all(files, draft);  // of an attempt that was interrupted
    files.make_directory(draft);
    for (const fs::path& source : sources)
      atomic_write(files, draft / source.filename(), with_name(read_text(files, source), name));
    files.rename(draft, target);
  } catch (const FileError& error) {
    throw ConfigError(fmt::format("--in {}: {}", folder.string(), error.what()));
  }
  return next_lines(environment, folder, name);
}

}  // namespace triga
