#include "launchers/doctor_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/absolute_path.h"
#include "comm/host.h"

namespace triga {
namespace {

namespace fs = std::filesystem;
using Reach = FileSystemKind::Reach;

constexpr const char* kTopic = "run folder";

struct Known {
  int64_t magic;
  const char* name;
  Reach reach;
  bool is_in_memory = false;
};
constexpr Known kKnown[] = {{0xEF53, "ext4", Reach::kHost},
                            {0x58465342, "XFS", Reach::kHost},
                            {0x9123683E, "btrfs", Reach::kHost},
                            {0x2FC12FC1, "ZFS", Reach::kHost},
                            {0xF2F52010, "F2FS", Reach::kHost},
                            {0x794C7630, "overlay (of a container)", Reach::kHost},
                            {0x01021994, "tmpfs", Reach::kHost, true},
                            {0x858458F6, "ramfs", Reach::kHost, true},
                            {0x6969, "NFS", Reach::kShared},
                            {0x0BD00BD0, "Lustre", Reach::kShared},
                            {0x47504653, "GPFS", Reach::kShared},
                            {0x19830326, "BeeGFS", Reach::kShared},
                            {0x00C36400, "CephFS", Reach::kShared},
                            {0xAAD7AAEA, "PanFS", Reach::kShared},
                            {0x20030528, "OrangeFS", Reach::kShared},
                            {0x5346414F, "AFS", Reach::kShared},
                            {0xFF534D42, "CIFS", Reach::kShared},
                            {0xFE534D42, "SMB", Reach::kShared},
                            {0x01021997, "9p", Reach::kUnknown},
                            {0x65735546, "FUSE", Reach::kUnknown}};

const char* in_words(Reach reach) {
  return reach == Reach::kHost     ? "; for this host alone"
         : reach == Reach::kShared ? ", which hosts share"
                                   : "";
}

/// The path itself, or the nearest one above it that is there.
fs::path nearest_there(fs::path directory) {
  directory = absolute_path(directory);
  std::error_code error;
  while (!fs::exists(directory, error) && directory.has_relative_path())
    directory = directory.parent_path();
  return directory;
}

bool can_open_directly(const fs::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (descriptor >= 0) ::close(descriptor);
  return descriptor >= 0 || errno != EINVAL;
}

}  // namespace

FileSystemKind file_system_kind(int64_t magic) {
  for (const Known& known : kKnown)
    if (known.magic == (magic & 0xFFFFFFFF)) return {known.name, known.reach, known.is_in_memory};
  return {fmt::format("an unknown file system ({:#x})", magic & 0xFFFFFFFF), Reach::kUnknown,
          false};
}

FolderPlace find_place(const Path& directory) {
  FolderPlace place;
  place.folder = nearest_there(directory);
  const std::string path = place.folder.string();
  place.is_temporary = path == "/tmp" || path.starts_with("/tmp/");
  struct statfs system = {};
  if (::statfs(path.c_str(), &system) != 0) {
    place.error = errno;
    return place;
  }
  place.kind = file_system_kind(system.f_type);
  place.free_bytes = static_cast<double>(system.f_bsize) * static_cast<double>(system.f_bavail);
  return place;
}

std::string sharing_problem(const FolderPlace& place, int num_hosts) {
  if (num_hosts < 2 || (place.kind.reach != Reach::kHost && !place.is_temporary)) return "";
  return fmt::format("only this host sees it, and the run has {} hosts", num_hosts);
}

FileTrials try_files(FileSystem& files, const Path& directory) {
  FileTrials trials;
  const std::string stem = fmt::format(".triga-doctor-{}-{}", host_name(), ::getpid());
  const Path file = directory / stem, lock = directory / (stem + ".lock");
  try {
    const auto start = std::chrono::steady_clock::now();
    atomic_write(files, file, "written by triga doctor\n");  // write, fsync, rename, fsync
    trials.sync_seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    read_text(files, file);
    trials.has_direct = can_open_directly(file);
    try {
      const auto held = files.try_lock(lock);
      if (!held || files.try_lock(lock)) trials.lock = "two programs can hold one lock";
    } catch (const FileError& error) {
      trials.lock = error.what();
    }
  } catch (const FileError& error) {
    trials.write = error.what();
  }
  for (const Path& made : {file, lock}) {
    try {
      remove_all(files, made);
    } catch (const FileError&) {  // said above: it could not even be written
    }
  }
  return trials;
}

Findings judge_files(const FolderPlace& place, const FileTrials& trials, int num_hosts) {
  const std::string directory = place.folder.string();
  const FileSystemKind& kind = place.kind;
  if (!trials.write.empty())
    return {problem(kTopic, fmt::format("{} ({}): {}", directory, kind.name, trials.write),
                    "another folder: --run-dir DIR", ExitStatus::kCheckpoint)};
  Findings findings;
  const std::string text =
      fmt::format("{}: {}, {:.1f} GB free", directory, kind.name, place.free_bytes * 1e-9);
  if (const std::string unshared = sharing_problem(place, num_hosts); !unshared.empty())
    findings.push_back(problem(kTopic, text + ": " + unshared,
                               "a folder on the file system that all hosts share: --run-dir DIR",
                               ExitStatus::kUsage));
  else if (kind.is_in_memory || place.is_temporary)
    findings.push_back(warning(kTopic, text + ": gone with the next start of this host",
                               "for what is to be kept: --run-dir DIR"));
  else if (num_hosts > 1 && kind.reach == Reach::kUnknown)
    findings.push_back(
        warning(kTopic, text + ": do other hosts see it?", "the ranks find out at their start"));
  else
    findings.push_back(ok(kTopic, text + in_words(kind.reach)));
  if (!trials.lock.empty())
    findings.push_back(problem(
        kTopic, "locks do not work there: " + trials.lock,
        kind.name == "Lustre" ? "the mount option flock" : "a file system with locks (flock)",
        ExitStatus::kCheckpoint));
  if (place.free_bytes < 1e9)
    findings.push_back(warning(kTopic, "less than 1 GB is free",
                               "a checkpoint takes about 12 bytes a parameter (Adam, fp32)"));
  if (trials.sync_seconds > 1)
    findings.push_back(warning(
        kTopic,
        fmt::format("a small file took {:.1f} s to be safe on the disk", trials.sync_seconds),
        "a busy disk or server: checkpoint.asynchronous: true hides it"));
  if (trials.lock.empty())
    findings.push_back(
        ok(kTopic,
           fmt::format("rename, fsync and flock work there; O_DIRECT, which Triga does without, {}",
                       trials.has_direct ? "too" : "does not")));
  return findings;
}

Findings look_at_files(const Wishes& wishes) {
  const FolderPlace place =
      find_place(wishes.run_directory.empty() ? fs::path("runs") : wishes.run_directory);
  const std::string path = place.folder.string();
  if (place.error != 0)
    return {problem(kTopic, fmt::format("{}: {}", path, std::strerror(place.error)),
                    "another folder: --run-dir DIR", ExitStatus::kCheckpoint)};
  std::error_code error;
  if (!fs::is_directory(place.folder, error))
    return {problem(kTopic, path + " is there, and is no folder", "another folder: --run-dir DIR",
                    ExitStatus::kCheckpoint)};
  return judge_files(place, try_files(posix_files(), place.folder), wishes.num_hosts);
}

}  // namespace triga
