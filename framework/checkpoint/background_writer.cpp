#include "checkpoint/background_writer.h"

#include <chrono>
#include <utility>

#include "base/run_beside.h"

namespace triga {

void BackgroundWriter::start(const Snapshot& snapshot, Communicator& ranks) {
  TRIGA_CHECK(!is_busy(), "two checkpoints at once: steps ", step_, " and ", snapshot.state.step);
  save_ = std::make_unique<CheckpointSave>(writer_, snapshot, ranks);
  step_ = snapshot.state.step;
  is_committing_ = false;
  thread_ = run_beside([save = save_.get()] { save->write(); });
}

double BackgroundWriter::vote() const {
  return is_busy() && thread_.wait_for(std::chrono::seconds(0)) == std::future_status::ready ? 1
                                                                                             : 0;
}

bool BackgroundWriter::advance(double votes, Communicator& ranks) {
  if (!is_busy() || votes < ranks.size()) return false;
  return end_part(ranks);
}

void BackgroundWriter::finish(Communicator& ranks) {
  while (is_busy()) end_part(ranks);
}

/// Returns whether it was the last part.
bool BackgroundWriter::end_part(Communicator& ranks) {
  std::unique_ptr<CheckpointSave> save = std::move(save_);  // given up when anything throws
  thread_.get();
  if (is_committing_) {
    save->finish(ranks);
    return true;
  }
  save->agree_written(ranks);
  save_ = std::move(save);
  is_committing_ = true;
  thread_ = run_beside([save = save_.get()] { save->commit(); });
  return false;
}

}  // namespace triga
