#include "data/download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "data/http_get.h"
#include "data/sha256.h"
#include "triga/error.h"
#include "triga/log.h"

namespace triga {
namespace {

/// NAME.part, grown at its end by one process at a time.
class PartFile {
 public:
  explicit PartFile(const Path& target) : path_(target.string() + ".part") {
    descriptor_ = open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) fail("create");
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      close(descriptor_);
      throw DataError(c10::str(path_.string(),
                               ": another process is fetching this file; wait for it, or end it"));
    }
    size_ = lseek(descriptor_, 0, SEEK_END);
  }
  ~PartFile() { close(descriptor_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const Path& path() const { return path_; }
  int64_t size() const { return size_; }

  void append(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = write(descriptor_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail("write");
      size_ += n;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }

  void clear() {
    if (ftruncate(descriptor_, 0) != 0 || lseek(descriptor_, 0, SEEK_SET) != 0) fail("empty");
    size_ = 0;
  }

  /// Gives the file its name.
  void finish(const Path& target) {
    if (fsync(descriptor_) != 0) fail("write");
    posix_files().rename(path_, target);
    posix_files().sync_directory(target.parent_path());
  }

 private:
  [[noreturn]] void fail(const char* action) const {
    throw DataError(c10::str("cannot ", action, " ", path_.string(), ": ", std::strerror(errno)));
  }

  Path path_;
  int descriptor_;
  int64_t size_ = 0;
};

/// <mirror>/<host>/<path> of an address.
Path mirror_path(const std::string& mirror, const std::string& url) {
  const size_t host = url.find("://");
  TRIGA_CHECK(host != std::string::npos, "not an address: ", url);
  return Path(mirror) / url.substr(host + 3);
}

void copy(const RemoteFile& file, PartFile& part, const DownloadOptions& options) {
  const Path source = mirror_path(options.mirror, file.url);
  if (!exists(posix_files(), source))
    throw DataError(c10::str(source.string(),
                             ": not in the mirror, which is used instead of the network because "
                             "TRIGA_DATA_MIRROR names it"));
  part.clear();
  const auto reader = posix_files().open(source);
  std::string chunk;
  for (uint64_t offset = 0; offset < reader->size(); offset += chunk.size()) {
    chunk.resize(std::min<uint64_t>(reader->size() - offset, 1 << 20));
    reader->read(offset, chunk.data(), chunk.size());
    part.append(chunk);
    options.progress(part.size());
  }
}

/// Adds to the part what one request brings. Gives why that may not be all.
std::string transfer_once(const RemoteFile& file, PartFile& part, const DownloadOptions& options) {
  const auto receive = [&](std::string_view bytes) {
    part.append(bytes);
    if (part.size() > file.size)
      throw DataError(c10::str(file.url, ": gives more than the ", file.size,
                               " bytes that it should: it is not the file that it was"));
    options.progress(part.size());
  };
  const auto result = http_get({.url = file.url,
                                .offset = part.size(),
                                .stall_seconds = options.stall_seconds,
                                .on_data = receive});
  switch (result.outcome) {
    case HttpResult::Outcome::kDone:
      break;
    case HttpResult::Outcome::kFailed:
      throw DataError(c10::str(file.url, ": ", result.message));
    case HttpResult::Outcome::kTryAgain:
      return result.message;
    case HttpResult::Outcome::kNoRange:
      part.clear();
      return "the server cannot go on in the middle of the file";
  }
  return "the file ends too early";
}

/// Until the part has the size of the file.
void transfer(const RemoteFile& file, PartFile& part, const DownloadOptions& options) {
  if (part.size() > file.size) part.clear();
  double pause = options.retry_seconds;
  int64_t most = part.size();  // how far it ever came: only what goes beyond is progress
  for (int attempt = 1; part.size() < file.size;) {
    const std::string problem = transfer_once(file, part, options);
    if (part.size() > most) {
      most = part.size();
      attempt = 1;
      pause = options.retry_seconds;
      continue;
    }
    if (attempt++ == options.max_attempts)
      throw DataError(c10::str(file.url, ": ", problem, " (tried ", options.max_attempts,
                               " times). What has arrived, ", part.size(), " of ", file.size,
                               " bytes, is kept; the same command goes on from there."));
    log_info("data", file.url, ": ", problem, "; trying again in ", pause, " s");
    std::this_thread::sleep_for(std::chrono::duration<double>(pause));
    pause *= 2;
  }
}

/// The part has the content of the file; else it is emptied. Gives what is wrong.
std::string check(const RemoteFile& file, PartFile& part) {
  const std::string sum = sha256_of_file(posix_files(), part.path());
  if (sum == file.sha256) return "";
  part.clear();
  return c10::str("its SHA-256 is ", sum, ", the catalogue says ", file.sha256);
}

bool is_there(const RemoteFile& file, const Path& target) {
  if (!exists(posix_files(), target)) return false;
  if (sha256_of_file(posix_files(), target) == file.sha256) return true;
  throw DataError(c10::str(target.string(), ": is there, and is not the file of ", file.url,
                           " (its SHA-256 differs). Move it away to fetch the file again."));
}

}  // namespace

void download(const RemoteFile& file, const Path& target, const DownloadOptions& options) {
  try {
    if (is_there(file, target)) return;
    make_directories(posix_files(), target.parent_path());
    PartFile part(target);
    if (!options.mirror.empty()) {
      copy(file, part, options);
      const std::string problem = check(file, part);
      if (!problem.empty())
        throw DataError(c10::str(mirror_path(options.mirror, file.url).string(), ": ", problem));
    } else {
      const bool goes_on = part.size() > 0;
      transfer(file, part, options);
      std::string problem = check(file, part);
      if (!problem.empty() && goes_on) {  // what an earlier call left may be of another file
        transfer(file, part, options);
        problem = check(file, part);
      }
      if (!problem.empty())
        throw DataError(c10::str(file.url, ": ", problem,
                                 ". The file was damaged on its way, or is not what it was."));
    }
    part.finish(target);
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
}

}  // namespace triga
