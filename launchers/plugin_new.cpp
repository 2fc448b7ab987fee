#include "launchers/plugin_new.h"

#include <fmt/format.h>

#include "base/files.h"
#include "plugin_host/search_path.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWord = "my_plugin";  // the name that the files of the scaffold have

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

/// Every file of the scaffold, below `to`.
void copy_files(const fs::path& scaffold, const fs::path& to, const std::string& name) {
  FileSystem& files = posix_files();
  for (const auto& entry : fs::recursive_directory_iterator(scaffold)) {
    const fs::path target = to / entry.path().lexically_relative(scaffold);
    if (entry.is_directory())
      files.make_directory(target);
    else
      atomic_write(files, target, with_name(read_text(files, entry.path()), name));
  }
}

std::string next_lines(const CommandEnvironment& environment, const fs::path& folder,
                       const std::string& name) {
  return fmt::format(
      "{0}: a plugin with a model and a dataset. Build it, check it, train it:\n"
      "  cmake -S {0} -B {0}/build -DCMAKE_PREFIX_PATH={1}\n"
      "  cmake --build {0}/build\n"
      "  ctest --test-dir {0}/build --output-on-failure\n"
      "  TRIGA_PLUGIN_PATH={0}/build triga train {0}/experiment.yaml\n"
      "Its README.md says what each file is.\n",
      folder.string(), environment.prefix.string(), name);
}

}  // namespace

std::string new_plugin(const CommandEnvironment& environment, const std::string& name,
                       const fs::path& folder) {
  check_name(environment, name);
  const fs::path scaffold = environment.prefix / "share" / "triga" / "scaffold";
  if (!fs::is_directory(scaffold))
    throw ConfigError(fmt::format(
        "{} is not there: this is no whole install or build tree of Triga", scaffold.string()));
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
    copy_files(scaffold, draft, name);
    files.rename(draft, target);
  } catch (const FileError& error) {
    throw ConfigError(fmt::format("--in {}: {}", folder.string(), error.what()));
  }
  return next_lines(environment, target, name);
}

}  // namespace triga
