// One save in its parts: CheckpointSave of writer.h.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <future>
#include <iterator>
#include <new>
#include <utility>

#include "base/run_beside.h"
#include "checkpoint/writer.h"

namespace triga {
namespace {

// Two keep a disk busy; each takes a core for its checksums from the steps beside.
constexpr size_t kMaxWritingThreads = 2;

}  // namespace

template <class Action>
void CheckpointSave::Outcome::attempt(const Action& action) {
  try {
    action();
  } catch (const FileError& error) {
    failure = error.what();
    is_full = error.is_full();
  } catch (const std::bad_alloc&) {
    failure = "out of memory";
  } catch (const std::exception& error) {  // a check, a thread that the system does not give
    failure = error.what();
  }
}

bool CheckpointSave::Outcome::agree(Communicator& ranks, std::string_view what) {
  const std::string mine = failure.empty() ? "" : (is_full ? "f" : "e") + failure;
  for (const std::string& text : ranks.all_gather_text(mine, what)) {
    if (text.empty()) continue;
    is_full = text[0] == 'f';
    failure = text.substr(1);
    return true;
  }
  return false;
}

CheckpointSave::CheckpointSave(CheckpointWriter& writer, const Snapshot& snapshot,
                               Communicator& ranks)
    : writer_(writer),
      is_first_(ranks.rank() == 0),
      parts_(parts_of(snapshot, writer.options_.max_shard_bytes, ranks)),
      manifest_{snapshot.state.step, snapshot.environment, snapshot.metrics, {}},
      draft_(writer.files_, writer.checkpoints_, snapshot.state.step,
             ranks.broadcast_text(writer.options_.start, 0, "start that a draft belongs to")) {
  double bytes = 0;
  for (const auto& part : parts_) bytes += static_cast<double>(part.bytes());
  ranks.all_reduce_values({&bytes, 1}, ReduceOp::kSum, "size of the checkpoint");
  if (is_first_)
    outcome_.attempt([&] {
      writer_.check_space(static_cast<uint64_t>(bytes));
      draft_.begin();
    });
  if (outcome_.agree(ranks, "begin of the checkpoint")) give_up();
}

// A large file beside the others: while one waits for the disk, the checksums of another are
// computed.
void CheckpointSave::write() {
  outcome_.attempt([&] {
    std::vector<const CheckpointPart*> large;
    for (const auto& part : parts_)
      if (part.bytes() >= kLargeFileBytes)
        large.push_back(&part);
      else
        written_.push_back(draft_.write(part));
    std::atomic<size_t> next = 0;
    const auto work = [&] {
      std::vector<FileRecord> records;
      for (size_t i = next++; i < large.size(); i = next++)
        records.push_back(draft_.write(*large[i]));
      return records;
    };
    std::vector<std::future<std::vector<FileRecord>>> threads;
    for (size_t i = 1; i < std::min(large.size(), kMaxWritingThreads); ++i)
      threads.push_back(run_beside(work));
    const auto keep = [&](std::vector<FileRecord> records) {
      std::move(records.begin(), records.end(), std::back_inserter(written_));
    };
    keep(work());
    for (auto& thread : threads) keep(thread.get());
  });
}

void CheckpointSave::agree_written(Communicator& ranks) {
  const Manifest mine{step(), {}, {}, std::exchange(written_, {})};
  const auto manifests =
      ranks.all_gather_text(to_json(mine), "files of the checkpoint that are written");
  if (outcome_.agree(ranks, "files of the checkpoint")) give_up();
  parts_.clear();
  if (!is_first_) return;
  for (const std::string& text : manifests)
    for (FileRecord& record : manifest_from_json(text, "a rank's files").files)
      written_.push_back(std::move(record));
}

void CheckpointSave::commit() {
  if (!is_first_) return;
  outcome_.attempt([&] {
    Manifest manifest = manifest_;
    manifest.files = std::move(written_);
    draft_.commit(std::move(manifest));
  });
  if (!outcome_.failure.empty()) return;
  try {
    writer_.clear_leftovers();
    writer_.tidy(step());
  } catch (const std::exception& error) {
    writer_.warnings_.push_back(
        fmt::format("the checkpoint of step {} is saved, but older ones were not tidied up: {}",
                    step(), error.what()));
  }
}

Path CheckpointSave::finish(Communicator& ranks) {
  if (outcome_.agree(ranks, "end of the checkpoint")) give_up();
  return draft_.directory();
}

void CheckpointSave::give_up() {
  if (is_first_) draft_.discard();
  const auto message =
      fmt::format("the checkpoint of step {} was not saved; older ones are as they were: {}",
                  step(), outcome_.failure);
  if (outcome_.is_full) throw DiskFullError(message);
  throw CheckpointError(message);
}

}  // namespace triga
