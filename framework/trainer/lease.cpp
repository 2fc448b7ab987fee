#include "trainer/lease.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/descriptor.h"
#include "base/process_stat.h"
#include "comm/host.h"
#include "triga/log.h"

namespace triga {
namespace {

using Json = nlohmann::json;

/// Empty: no such process, or one that is dead.
std::string start_ticks(int64_t pid) {
  const auto stat = read_process_stat(pid);
  return stat && !stat->is_dead() ? stat->start_ticks : std::string();
}

/// Held only while a lease is taken, so that of two starts at the same moment one is refused.
Path lock_path(const Path& file) {
  return file.parent_path() / ("." + file.filename().string() + ".lock");
}

struct Holder {
  std::string host, space, ticks, token;  // space: empty in a lease of an older version
  int64_t pid = 0, num_beats = 0;
};

std::optional<Holder> read_holder(FileSystem& files, const Path& file) {
  try {
    const Json json = Json::parse(read_text(files, file));
    return Holder{json.at("host"),        json.value("process_space", std::string()),
                  json.at("start_ticks"), json.at("token"),
                  json.at("pid"),         json.at("beats")};
  } catch (const FileError& error) {
    if (error.is_missing()) return std::nullopt;
    throw;
  } catch (const Json::exception&) {
    return Holder{};  // torn or foreign: treated like a holder out of sight that may be silent
  }
}

/// Whether its process would be found from here. The name alone does not tell: containers may have
/// that of their host and process ids of their own, and hosts may be called the same.
bool is_in_sight(const Holder& holder) {
  return !holder.host.empty() && holder.host == host_name() &&
         (holder.space.empty() || holder.space == process_space());
}

/// Whether the holder still runs. In sight, one that is being killed is waited for: it may be giving
/// back much memory. Out of sight: whether its heartbeat is younger than the expiry, or, since
/// clocks differ, moves while we look.
bool is_alive(FileSystem& files, const Path& file, const Holder& holder,
              const LeaseTiming& timing) {
  if (is_in_sight(holder)) {
    const auto end = std::chrono::steady_clock::now() + timing.dying;
    while (!holder.ticks.empty() && start_ticks(holder.pid) == holder.ticks) {
      if (std::chrono::steady_clock::now() >= end) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }
  std::error_code error;
  const auto written = std::filesystem::last_write_time(file, error);
  if (error) return false;
  if (std::filesystem::file_time_type::clock::now() - written < timing.expiry) return true;
  log_info("train", "process ", holder.pid, " on ", holder.host, " held ",
           file.parent_path().string(), " and is silent; looking whether it lives");
  std::this_thread::sleep_for(timing.heartbeat * 5 / 2);
  const auto later = read_holder(files, file);
  return later && (later->num_beats != holder.num_beats || later->token != holder.token);
}

/// Where no new file can be written because the disk is full: other bytes in the one that is there
/// take no room. File systems that never write in place may refuse even those; a new time is then
/// what others see. A file of another holder stays as it is, also when it comes in the middle: it is
/// another file of the same name.
void beat_in_place(const Path& file, const std::string& token, const std::string& content) {
  const Descriptor own(file, O_RDWR, "write");
  std::array<char, 4096> buffer;
  const ssize_t size = ::pread(own.get(), buffer.data(), buffer.size(), 0);
  const std::string_view there(buffer.data(), static_cast<size_t>(std::max<ssize_t>(size, 0)));
  if (there.find(token) == std::string_view::npos) return;
  const bool is_written = ::pwrite(own.get(), content.data(), content.size(), 0) ==
                          static_cast<ssize_t>(content.size());
  if (!is_written) ::futimens(own.get(), nullptr);
}

/// Throws: ConfigError when somebody has the lease. The lock is for as long as nobody may take it.
std::unique_ptr<FileLock> lock_free_lease(FileSystem& files, const Path& file,
                                          const LeaseTiming& timing) {
  auto lock = files.try_lock(lock_path(file));
  const auto holder = read_holder(files, file);
  if (!lock || (holder && is_alive(files, file, *holder, timing)))
    throw ConfigError(fmt::format(
        "{}: another run writes to this directory{}.\n  Wait for it, stop it, or use another "
        "directory (--run-dir DIR). "
        "If its host is gone, the directory is free again {} seconds after its last sign of life.",
        file.parent_path().string(),
        holder && holder->pid != 0 ? fmt::format(" (process {} on {})", holder->pid, holder->host)
                                   : "",
        std::chrono::duration_cast<std::chrono::seconds>(timing.expiry).count()));
  return lock;
}

}  // namespace

std::unique_ptr<FileLock> hold_unused(FileSystem& files, const Path& file,
                                      const LeaseTiming& timing) {
  return lock_free_lease(files, file, timing);
}

std::string lease_token(FileSystem& files, const Path& file) {
  const auto holder = read_holder(files, file);
  return holder ? holder->token : std::string();
}

std::optional<LeaseHolder> lease_holder(FileSystem& files, const Path& file,
                                        const LeaseTiming& timing) {
  const auto holder = read_holder(files, file);
  if (!holder) return std::nullopt;
  return LeaseHolder{holder->host, holder->pid, is_alive(files, file, *holder, timing)};
}

Lease::Lease(FileSystem& files, Path file, LeaseTiming timing)
    : files_(files), file_(std::move(file)), timing_(timing) {
  const int64_t pid = ::getpid();
  token_ = fmt::format("{}-{}-{}-{}", host_name(), pid, start_ticks(pid),
                       std::chrono::steady_clock::now().time_since_epoch().count());
  const auto lock = lock_free_lease(files, file_, timing_);  // of two starts at the same moment
  atomic_write(files_, file_, content());
  thread_ = std::thread([this] { beat(); });
}

Lease::~Lease() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    is_stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
  if (is_lost_) return;
  try {
    files_.remove_file(file_);
  } catch (const std::exception&) {  // a lease that stays expires
  }
}

std::string Lease::content() const {
  const int64_t pid = ::getpid();
  return Json{{"host", host_name()}, {"process_space", process_space()},
              {"pid", pid},          {"start_ticks", start_ticks(pid)},
              {"token", token_},     {"beats", num_beats_.load()}}
             .dump(-1, ' ', false, Json::error_handler_t::replace) +
         "\n";
}

void Lease::beat() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!wake_.wait_for(lock, timing_.heartbeat, [this] { return is_stopping_; })) {
    try {
      const auto holder = read_holder(files_, file_);
      if (holder && holder->token != token_) {
        is_lost_ = true;
        return;
      }
      ++num_beats_;
      try {
        atomic_write(files_, file_, content());
      } catch (const FileError&) {
        beat_in_place(file_, token_, content());
      }
    } catch (const std::exception&) {  // a disk that fails: the next beat may succeed
    }
  }
}

void Lease::check() const {
  if (is_lost_)
    throw CheckpointError(
        fmt::format("{}: another run took this directory over, because this one gave no sign of "
                    "life for {} seconds. This run stops "
                    "writing.",
                    file_.parent_path().string(),
                    std::chrono::duration_cast<std::chrono::seconds>(timing_.expiry).count()));
}

}  // namespace triga
