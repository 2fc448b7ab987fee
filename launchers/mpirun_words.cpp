#include "launchers/mpirun_words.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <mutex>
#include <regex>
#include <span>
#include <string_view>
#include <thread>
#include <utility>

#include "base/descriptor.h"
#include "triga/error.h"

namespace triga {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(50);
constexpr auto kPatience = std::chrono::seconds(5);  // with who reads our standard error
constexpr size_t kLongestLine = 1024;                // the beginning of a longer one is enough
constexpr off_t kPieceToFree = 1 << 20;

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

struct MpirunWords::State {
  int file = -1;  // where mpirun writes
  int out = -1;   // our standard error
  std::promise<void> all_is_passed_on;

  std::mutex mutex;  // guards what follows
  off_t num_read = 0, num_freed = 0;
  std::optional<off_t> end;  // known when mpirun has ended: what others write who have its standard
                             // error too is not waited for
  std::string line;          // as far as it has come
  bool has_lost_host = false;
  std::optional<KilledRank> killed;

  State() = default;
  ~State() {
    if (file >= 0) ::close(file);
    if (out >= 0) ::close(out);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  /// The next piece; "": there is none yet, or, after the end, no more.
  std::string_view read(std::span<char> buffer);
  bool is_at_the_end() const { return end && num_read >= *end; }
  void free_what_was_read();
  void look_for_words(std::string_view text);
};

std::string_view MpirunWords::State::read(std::span<char> buffer) {
  size_t most = buffer.size();
  if (end) most = std::min(most, static_cast<size_t>(std::max<off_t>(*end - num_read, 0)));
  const ssize_t count = retry([&] { return ::pread(file, buffer.data(), most, num_read); });
  if (count <= 0) return {};
  num_read += count;
  free_what_was_read();
  const std::string_view text(buffer.data(), static_cast<size_t>(count));
  look_for_words(text);
  return text;
}

/// Of a run of weeks the memory would be missed.
void MpirunWords::State::free_what_was_read() {
  if (num_read - num_freed < kPieceToFree) return;
  const off_t size = (num_read - num_freed) / kPieceToFree * kPieceToFree;
  ::fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, num_freed, size);
  num_freed += size;
}

void MpirunWords::State::look_for_words(std::string_view text) {
  for (const char c : text) {
    if (c != '\n') {
      if (line.size() < kLongestLine) line += c;
      continue;
    }
    if (line.find("lost communication with a remote daemon") != std::string::npos)
      has_lost_host = true;
    const auto found = killed || has_lost_host ? std::nullopt : killed_rank_in(line);
    if (found && found->signal != SIGABRT) killed = found;
    line.clear();
  }
}

MpirunWords::MpirunWords() : state_(std::make_shared<State>()) {
  state_->file = ::memfd_create("what mpirun says", MFD_CLOEXEC);
  // Processes that write there do not share a position.
  const bool is_open = state_->file >= 0 && ::fcntl(state_->file, F_SETFL, O_APPEND) == 0;
  if (is_open) state_->out = ::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (state_->out < 0)
    throw Error(c10::str("cannot read what mpirun writes: ", std::strerror(errno)));
}

MpirunWords::~MpirunWords() {
  killed_first();
}

ChildProcess MpirunWords::start(const std::vector<std::string>& line) {
  all_is_passed_on_ = state_->all_is_passed_on.get_future();
  std::thread([state = state_] {
    pass_on(*state);
    state->all_is_passed_on.set_value();
  }).detach();
  const StandardError to_us(state_->file, state_->out);
  return ChildProcess(line, ChildProcess::Streams::kOurs);
}

std::optional<MpirunWords::KilledRank> MpirunWords::killed_first() {
  {
    const std::lock_guard lock(state_->mutex);
    struct stat now {};
    if (!state_->end) state_->end = ::fstat(state_->file, &now) == 0 ? now.st_size : 0;
  }
  if (all_is_passed_on_.valid()) std::exchange(all_is_passed_on_, {}).wait_for(kPatience);
  const std::lock_guard lock(state_->mutex);
  std::array<char, 4096> buffer;
  while (!state_->read(buffer).empty()) {  // what nobody reads is looked at all the same
  }
  return state_->killed;
}

void MpirunWords::pass_on(State& state) {
  sigset_t all;  // SIGPIPE too: who reads our standard error may leave, and the run goes on
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  std::array<char, 4096> buffer;
  while (true) {
    std::string_view text;
    bool is_at_the_end = false;
    {
      const std::lock_guard lock(state.mutex);
      text = state.read(buffer);
      is_at_the_end = state.is_at_the_end();
    }
    write_all(state.out, text);
    if (is_at_the_end) return;
    if (text.empty()) std::this_thread::sleep_for(kLookEvery);
  }
}

}  // namespace triga
