#include "launchers/mpirun_words.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <regex>

#include "base/descriptor.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr int kLookEveryMs = 50;
/// What is read after mpirun's end: as much as was in the pipe, and not for ever what others write
/// who have its standard error too.
constexpr size_t kPipeBytes = 65536;
constexpr size_t kLongestLine = 1024;  // the beginning of a longer one is enough

/// Standard error of this process, and of programs that it starts, for as long as this lives.
class StandardError {
 public:
  StandardError(int file, int before) : before_(before) { ::dup2(file, STDERR_FILENO); }
  ~StandardError() { ::dup2(before_, STDERR_FILENO); }
  StandardError(const StandardError&) = delete;
  StandardError& operator=(const StandardError&) = delete;

 private:
  const int before_;
};

/// As far as somebody reads it.
void write_all(int file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = retry([&] { return ::write(file, text.data(), text.size()); });
    if (written >= 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd room{file, POLLOUT, 0};
      ::poll(&room, 1, -1);
    } else {
      return;
    }
  }
}

}  // namespace

std::optional<MpirunWords::KilledRank> killed_rank_in(const std::string& line) {
  static const std::regex kWords(
      R"(\S+ noticed that process rank (\d{1,9}) with PID \d+ on node (\S+) )"
      R"(exited on signal (\d{1,3})\b.*)");
  std::smatch match;
  if (!std::regex_match(line, match, kWords)) return std::nullopt;
  return MpirunWords::KilledRank{.rank = std::stoi(match[1].str()),
                                 .host = match[2].str(),
                                 .signal = std::stoi(match[3].str())};
}

MpirunWords::Files::Files() {
  std::array<int, 2> ends = {-1, -1};
  const bool is_open = ::pipe2(ends.data(), O_CLOEXEC) == 0;
  from = ends[0];
  to = ends[1];
  if (is_open) out = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (out >= 0) return;
  const int error = errno;
  if (is_open) {
    ::close(from);
    ::close(to);
  }
  throw Error(c10::str("cannot read what mpirun writes: ", std::strerror(error)));
}

MpirunWords::Files::~Files() {
  close_write_end();
  ::close(from);
  ::close(out);
}

void MpirunWords::Files::close_write_end() {
  if (to >= 0) ::close(to);
  to = -1;
}

MpirunWords::MpirunWords() : thread_([this] { pass_on(); }) {}

MpirunWords::~MpirunWords() {
  is_over_ = true;
  if (thread_.joinable()) thread_.join();
}

ChildProcess MpirunWords::start(const std::vector<std::string>& line) {
  struct Closing {  // the end of what is written shows only when nobody can write any more
    Files& files;
    ~Closing() { files.close_write_end(); }
  };
  const Closing closing{files_};
  const StandardError to_us(files_.to, files_.out);
  return ChildProcess(line, ChildProcess::Streams::kOurs);
}

std::optional<MpirunWords::KilledRank> MpirunWords::killed_first() {
  is_over_ = true;
  if (thread_.joinable()) thread_.join();
  return killed_;
}

void MpirunWords::pass_on() {
  sigset_t all;  // SIGPIPE too: who reads our standard error may leave, and the run goes on
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::array<char, 4096> buffer;
  size_t bytes_after_the_end = 0;
  while (bytes_after_the_end < kPipeBytes) {
    const bool is_over = is_over_;  // asked first: what was written before is read
    pollfd ready{files_.from, POLLIN, 0};
    const int num_ready = ::poll(&ready, 1, kLookEveryMs);
    if (num_ready == 0 && is_over) return;
    if (num_ready <= 0) continue;
    const ssize_t count = retry([&] { return ::read(files_.from, buffer.data(), buffer.size()); });
    if (count <= 0) return;
    const std::string_view text(buffer.data(), static_cast<size_t>(count));
    if (is_over) bytes_after_the_end += text.size();
    write_all(files_.out, text);
    look_for_words(text);
  }
}

void MpirunWords::look_for_words(std::string_view text) {
  for (const char c : text) {
    if (c != '\n') {
      if (line_.size() < kLongestLine) line_ += c;
      continue;
    }
    if (line_.find("lost communication with a remote daemon") != std::string::npos)
      has_lost_host_ = true;
    if (!killed_ && !has_lost_host_) killed_ = killed_rank_in(line_);
    line_.clear();
  }
}

}  // namespace triga
