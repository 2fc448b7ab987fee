#include "comm/progress_table.h"

#include <c10/util/StringUtil.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <mutex>
#include <new>

#include "base/process_stat.h"
#include "comm/shared_text.h"

namespace triga {
namespace {

// A peer that ended regularly cannot take part any more, but what it sent may still be on its way
// for a moment.
constexpr int64_t kGraceNanoseconds = 2'000'000'000;

int64_t now_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_REALTIME,
                &time);  // the same clock for all processes of a host; safe in signal handlers
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

struct flock lock_of_byte(int64_t offset) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = offset;
  lock.l_len = 1;
  return lock;
}

// One word, so that nobody sees the stage of one action with the microbatch of another.
uint64_t pack(Doing doing) noexcept {
  const auto part = [](int number) { return static_cast<uint64_t>(number + 1) & 0xffffff; };
  return static_cast<uint64_t>(doing.phase) | part(doing.stage) << 8 | part(doing.microbatch) << 32;
}

Doing unpack(uint64_t word) {
  const auto part = [](uint64_t bits) { return static_cast<int>(bits & 0xffffff) - 1; };
  return {static_cast<Phase>(word & 0xff), part(word >> 8), part(word >> 32)};
}

std::string in_words(Doing doing) {
  std::string text(word(doing.phase));
  if (doing.stage >= 0) text += c10::str(" of stage ", doing.stage);
  if (doing.microbatch >= 0)
    text += c10::str(doing.stage >= 0 ? ", microbatch " : " of microbatch ", doing.microbatch);
  return text;
}

CommError system_error(std::string_view what) {
  return CommError(c10::str("cannot share progress with the other ranks of this host: ", what, ": ",
                            std::strerror(errno)));
}

}  // namespace

std::string_view word(Phase phase) {
  switch (phase) {
    case Phase::kOther:
      return "";
    case Phase::kData:
      return "data";
    case Phase::kForward:
      return "forward";
    case Phase::kBackward:
      return "backward";
    case Phase::kBackwardInputs:
      return "backward of inputs";
    case Phase::kBackwardWeights:
      return "backward of weights";
    case Phase::kUpdate:
      return "update";
  }
  return "";
}

// One rank's line. All atomics, all zero at the start, so that memory fresh from the kernel is a
// valid table.
struct ProgressTable::Entry {
  struct Operation {
    SharedText<192> text;
    std::atomic<uint32_t> is_running;
  };

  std::atomic<RankState> state;
  std::atomic<int32_t> status;  // ExitStatus, when failed
  std::atomic<int64_t> pid;
  std::atomic<int64_t> changed_ns;  // when `state` changed last
  std::atomic<int64_t> step;
  std::atomic<uint64_t> doing;  // packed
  std::atomic<int64_t> num_moves;
  std::atomic<int64_t> moved_ns;
  std::atomic<int64_t> patience_ms;
  std::atomic<int64_t> silence_ms;  // of a rank on another host
  std::atomic<uint64_t> reserved_bytes;
  SharedText<128> activity;
  Operation operations[2];            // by ProgressStream
  SharedText<768> cause;              // when failed
  std::atomic<uint32_t> cause_taken;  // the first cause counts
};

// The entries' memory: of this process, or a memory file mapped by all processes of the host.
class ProgressTable::Memory {
 public:
  explicit Memory(int num_ranks) : own_(new Entry[num_ranks]()), entries_(own_.get()) {}

  Memory(int file, int num_ranks, bool create) : file_(file), bytes_(num_ranks * sizeof(Entry)) {
    if (create && ftruncate(file_, static_cast<off_t>(bytes_)) != 0) fail("ftruncate");
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0);
    if (memory == MAP_FAILED) fail("mmap");
    entries_ = static_cast<Entry*>(memory);
  }

  ~Memory() {
    if (file_ < 0) return;
    munmap(entries_, bytes_);
    close(file_);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Entry& entry(int rank) const { return entries_[rank]; }
  bool is_shared() const { return file_ >= 0; }
  int file() const { return file_; }
  std::mutex& writers() { return writers_; }

 private:
  [[noreturn]] void fail(std::string_view what) {
    const auto error = system_error(what);
    close(file_);
    throw error;
  }

  std::unique_ptr<Entry[]> own_;
  int file_ = -1;
  size_t bytes_ = 0;
  Entry* entries_ = nullptr;
  std::mutex
      writers_;  // texts have one writer at a time; several threads of a rank may start operations
};

ProgressTable::ProgressTable(std::unique_ptr<Memory> memory, std::vector<std::string> hosts)
    : memory_(std::move(memory)), hosts_(std::move(hosts)) {}
ProgressTable::~ProgressTable() = default;

std::shared_ptr<ProgressTable> ProgressTable::in_process(std::vector<std::string> hosts) {
  auto memory = std::make_unique<Memory>(static_cast<int>(hosts.size()));
  return std::shared_ptr<ProgressTable>(new ProgressTable(std::move(memory), std::move(hosts)));
}

std::shared_ptr<ProgressTable> ProgressTable::create_shared(std::vector<std::string> hosts) {
  const int file = memfd_create("triga-progress", MFD_CLOEXEC);
  if (file < 0) throw system_error("memfd_create");
  auto memory = std::make_unique<Memory>(file, static_cast<int>(hosts.size()), /*create=*/true);
  return std::shared_ptr<ProgressTable>(new ProgressTable(std::move(memory), std::move(hosts)));
}

std::shared_ptr<ProgressTable> ProgressTable::open_shared(const std::string& address,
                                                          std::vector<std::string> hosts) {
  const int file = open(address.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0) throw system_error(address);
  auto memory = std::make_unique<Memory>(file, static_cast<int>(hosts.size()), /*create=*/false);
  return std::shared_ptr<ProgressTable>(new ProgressTable(std::move(memory), std::move(hosts)));
}

std::string ProgressTable::address() const {
  if (!memory_->is_shared()) return "";
  return c10::str("/proc/", getpid(), "/fd/", memory_->file());
}

ProgressTable::Entry& ProgressTable::entry(int rank) const {
  TRIGA_CHECK(rank >= 0 && rank < size(), "no rank ", rank, " in a table of ", size());
  return memory_->entry(rank);
}

void ProgressTable::join(int rank) {
  Entry& own = entry(rank);
  if (memory_->is_shared()) {
    auto lock = lock_of_byte(rank);
    if (fcntl(memory_->file(), F_SETLK, &lock) != 0) throw system_error("fcntl(F_SETLK)");
  }
  own.pid = getpid();
  own.changed_ns = now_ns();
  moved(own);
  own.state = RankState::kRunning;
}

void ProgressTable::moved(Entry& own) noexcept {
  own.moved_ns.store(now_ns(), std::memory_order_relaxed);
  own.num_moves.fetch_add(1, std::memory_order_release);
}

void ProgressTable::set_step(int rank, int64_t step) {
  entry(rank).step = step;
  moved(entry(rank));
}

void ProgressTable::set_doing(int rank, Doing doing) noexcept {
  Entry& own = memory_->entry(rank);
  own.doing.store(pack(doing), std::memory_order_relaxed);
  moved(own);
}

void ProgressTable::move(int rank) noexcept {
  moved(memory_->entry(rank));
}

void ProgressTable::set_patience(int rank, std::chrono::milliseconds patience) {
  entry(rank).patience_ms = patience.count();
  moved(entry(rank));
}

void ProgressTable::set_reserved(int rank, size_t bytes) {
  entry(rank).reserved_bytes = bytes;
}

ProgressTable::Reserved ProgressTable::reserved() const {
  Reserved total;
  for (int rank = 0; rank < size(); ++rank) {
    const size_t bytes = entry(rank).reserved_bytes;
    total.bytes += bytes;
    total.num_ranks += bytes > 0 ? 1 : 0;
  }
  return total;
}

void ProgressTable::set_activity(int rank, std::string_view activity) {
  std::lock_guard lock(memory_->writers());
  entry(rank).activity.store(activity);
  moved(entry(rank));
}

void ProgressTable::begin_operation(int rank, ProgressStream stream, std::string_view text) {
  std::lock_guard lock(memory_->writers());
  auto& operation = entry(rank).operations[static_cast<int>(stream)];
  operation.text.store(text);
  operation.is_running = 1;
  moved(entry(rank));
}

void ProgressTable::end_operation(int rank, ProgressStream stream) {
  entry(rank).operations[static_cast<int>(stream)].is_running = 0;
  moved(entry(rank));
}

void ProgressTable::mark_failed(int rank, std::string_view cause, ExitStatus status) noexcept {
  Entry& own = memory_->entry(rank);
  if (own.cause_taken.exchange(1) != 0) return;
  own.cause.store(first_line(cause));
  own.status = static_cast<int32_t>(status);
  own.changed_ns = now_ns();
  own.state = RankState::kFailed;  // last: whoever sees it sees the cause
}

void ProgressTable::mark_finished(int rank) noexcept {
  leave(memory_->entry(rank), RankState::kFinished);
}

void ProgressTable::mark_left(int rank) noexcept {
  leave(memory_->entry(rank), RankState::kLeft);
}

void ProgressTable::leave(Entry& own, RankState state) noexcept {
  if (own.state != RankState::kRunning) return;
  own.changed_ns = now_ns();
  own.state = state;
}

RankState ProgressTable::state(int rank) const {
  return entry(rank).state;
}
int64_t ProgressTable::step(int rank) const {
  return entry(rank).step;
}

RankProgress ProgressTable::progress(int rank) const {
  const Entry& one = entry(rank);
  RankProgress progress;
  progress.num_moves = one.num_moves.load(std::memory_order_acquire);
  progress.moved_ns = one.moved_ns;
  progress.state = one.state;
  progress.pid = one.pid;
  progress.step = one.step;
  progress.doing = unpack(one.doing);
  progress.what = what_of(one);
  return progress;
}

int64_t ProgressTable::num_moves(int rank) const {
  return entry(rank).num_moves.load(std::memory_order_acquire);
}
std::chrono::milliseconds ProgressTable::patience(int rank) const {
  return std::chrono::milliseconds(entry(rank).patience_ms.load());
}

bool ProgressTable::is_dead(int rank) const {
  if (!memory_->is_shared() || entry(rank).pid == getpid()) return false;
  auto lock = lock_of_byte(rank);
  return fcntl(memory_->file(), F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}

std::optional<std::string> ProgressTable::find_failure(int own_rank,
                                                       std::span<const int> needed) const {
  int failed = -1, died = -1, told = -1;  // of its own; without a word; because of others
  for (int rank = 0; rank < size(); ++rank) {
    if (state(rank) == RankState::kAbsent) continue;
    const bool dead = rank != own_rank && is_dead(rank);  // asked before its last word is read
    const Entry& other = entry(rank);
    if (other.state == RankState::kFailed) {
      const bool is_told = other.status == static_cast<int32_t>(ExitStatus::kCommunication);
      if (rank == own_rank && !is_told) continue;  // reported where it failed
      int& earliest = is_told ? told : failed;
      if (earliest < 0 || other.changed_ns < entry(earliest).changed_ns) earliest = rank;
    } else if (dead && died < 0 && other.state == RankState::kRunning) {
      died = rank;
    }
  }
  if (failed >= 0)
    return c10::str(name_of(failed), " failed at ", describe(failed), ": ",
                    entry(failed).cause.load());
  if (died >= 0) return c10::str(name_of(died), death_of(died), " at ", describe(died));
  if (told >= 0) return entry(told).cause.load();
  for (int rank : needed) {
    const RankState now = rank == own_rank ? RankState::kRunning : state(rank);
    if (now != RankState::kFinished && now != RankState::kLeft) continue;
    if (now_ns() - entry(rank).changed_ns > kGraceNanoseconds)
      return c10::str(name_of(rank),
                      now == RankState::kFinished ? " has finished" : " has left the run", " at ",
                      describe(rank), ", but others still wait for it");
  }
  return std::nullopt;
}

bool ProgressTable::has_lost_one(int own_rank) const {
  for (int rank = 0; rank < size(); ++rank) {
    if (rank == own_rank || state(rank) == RankState::kAbsent) continue;
    const bool dead = is_dead(rank);
    const Entry& other = entry(rank);
    if (dead && other.state == RankState::kRunning) return true;
    if (other.state == RankState::kFailed &&
        other.status != static_cast<int32_t>(ExitStatus::kCommunication))
      return true;
  }
  return false;
}

std::string ProgressTable::name_of(int rank) const {
  return c10::str("rank ", rank, " on host ", hosts_[rank]);
}

/// How a rank ended that said nothing.
std::string ProgressTable::death_of(int rank) const {
  const auto killer = oom_kills_.lately();
  if (killer && killer->is_ours)
    return c10::str(" ran out of memory: ", killer->name, " ended its process ",
                    entry(rank).pid.load());
  return c10::str(" died without a word (killed, crashed, or out of memory",
                  killer ? "; " + killer->name + ", ended a process there at about that time" : "",
                  ")");
}

void ProgressTable::sample_oom_kills() {
  for (int rank = 0; rank < size(); ++rank)
    if (state(rank) == RankState::kRunning && is_dead(rank)) return;
  oom_kills_.sample();
}

void ProgressTable::set_silence(int rank, std::chrono::milliseconds silence) {
  entry(rank).silence_ms = silence.count();
}

std::chrono::milliseconds ProgressTable::silence(int rank) const {
  return std::chrono::milliseconds(entry(rank).silence_ms.load());
}

std::string ProgressTable::describe(int rank) const {
  const std::string what = what_of(entry(rank));
  return c10::str("step ", entry(rank).step.load(), what.empty() ? "" : ", ", what);
}

std::string ProgressTable::what_of(const Entry& other) {
  std::string text = other.activity.load();
  const auto add = [&](const std::string& words) {
    if (!words.empty()) text += (text.empty() ? "" : ", ") + words;
  };
  add(in_words(unpack(other.doing)));
  const Entry::Operation* last = nullptr;  // of several: one that runs, the host channel's first
  for (const auto& operation : {&other.operations[1], &other.operations[0]})
    if (operation->is_running) {
      last = operation;
      break;
    }
  if (last != nullptr) {
    add("in " + last->text.load());
    return text;
  }
  for (const auto& operation : {&other.operations[0], &other.operations[1]})
    if (const auto name = operation->text.load(); !name.empty()) {
      add("after " + name);
      break;
    }
  return text;
}

bool ProgressTable::is_stopped(int rank) const {
  if (state(rank) != RankState::kRunning) return false;
  const auto stat = read_process_stat(entry(rank).pid);
  return stat && stat->is_stopped();
}

std::string ProgressTable::whereabouts(int rank) const {
  const RankState now = state(rank);
  if (now == RankState::kAbsent) return name_of(rank) + " (not visible from here)";
  std::string_view condition;
  if (now == RankState::kFailed) condition = " (failed)";
  if (now == RankState::kFinished) condition = " (finished)";
  if (now == RankState::kLeft) condition = " (left the run)";
  if (now == RankState::kRunning) {
    if (is_stopped(rank)) condition = " (stopped by a signal)";
    if (is_dead(rank)) condition = " (dead)";
  }
  std::string text = c10::str(name_of(rank), condition, ": ", describe(rank));
  const int64_t still_seconds = (now_ns() - entry(rank).moved_ns) / 1'000'000'000;
  if (now == RankState::kRunning && still_seconds > 0)
    text += c10::str(", for ", still_seconds, " s");
  return text;
}

std::string ProgressTable::to_text() const {
  std::string text;
  for (int rank = 0; rank < size(); ++rank) {
    text += "  " + whereabouts(rank);
    if (state(rank) == RankState::kFailed) text += ": " + entry(rank).cause.load();
    text += '\n';
  }
  return text;
}

}  // namespace triga
