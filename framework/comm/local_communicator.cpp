// A message between threads: whichever side comes second copies from the sender's memory to the
// receiver's.
#include "comm/local_communicator.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "comm/fabric.h"
#include "comm/host.h"
#include "comm/message_communicator.h"
#include "comm/progress_table.h"

namespace triga {
namespace {

class LocalMessage;

// Where messages of one pair of ranks wait for their other side. Outlives all fabrics of its hub.
struct Mailbox {
  struct Queue {
    std::deque<LocalMessage*> sends, receives;  // one of the two is empty
  };
  std::mutex mutex;
  std::map<int, Queue> by_tag;
};

class LocalMessage final : public Message {
 public:
  LocalMessage(Mailbox& mailbox, int tag, bool is_send, Bytes bytes)
      : mailbox_(mailbox), tag_(tag), is_send_(is_send), bytes_(std::move(bytes)) {
    std::lock_guard lock(mailbox_.mutex);
    auto& queue = mailbox_.by_tag[tag];
    auto& others = is_send ? queue.receives : queue.sends;
    if (others.empty()) {
      (is_send ? queue.sends : queue.receives).push_back(this);
      return;
    }
    LocalMessage& other = *others.front();
    others.pop_front();
    const Bytes& from = is_send ? bytes_ : other.bytes_;
    const Bytes& to = is_send ? other.bytes_ : bytes_;
    TRIGA_CHECK(from.size <= to.size, "a message of ", from.size, " bytes for a buffer of ",
                to.size);
    std::memcpy(to.data, from.data, from.size);
    done_ = other.done_ = true;
  }

  ~LocalMessage() override {
    std::lock_guard lock(mailbox_.mutex);
    if (done_) return;
    auto& queue = mailbox_.by_tag[tag_];
    std::erase(is_send_ ? queue.sends : queue.receives, this);
  }

  bool is_done() override { return done_; }

 private:
  Mailbox& mailbox_;
  const int tag_;
  const bool is_send_;
  const Bytes bytes_;
  std::atomic<bool> done_{false};
};

class LocalHub {
 public:
  explicit LocalHub(int num_ranks) : num_ranks_(num_ranks), mailboxes_(num_ranks * num_ranks) {}
  int num_ranks() const { return num_ranks_; }
  Mailbox& mailbox(int from, int to) { return mailboxes_[from * num_ranks_ + to]; }

 private:
  const int num_ranks_;
  std::vector<Mailbox> mailboxes_;
};

class LocalFabric final : public Fabric {
 public:
  LocalFabric(std::shared_ptr<LocalHub> hub, int rank) : hub_(std::move(hub)), rank_(rank) {}

  int rank() const override { return rank_; }
  int size() const override { return hub_->num_ranks(); }
  std::unique_ptr<Message> send(int to, int tag, Bytes bytes) override {
    return std::make_unique<LocalMessage>(hub_->mailbox(rank_, to), tag, true, std::move(bytes));
  }
  std::unique_ptr<Message> receive(int from, int tag, Bytes bytes) override {
    return std::make_unique<LocalMessage>(hub_->mailbox(from, rank_), tag, false, std::move(bytes));
  }
  void finish() override {}

 private:
  const std::shared_ptr<LocalHub> hub_;
  const int rank_;
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_local_communicators(int num_ranks,
                                                                    const LocalOptions& options) {
  TRIGA_CHECK(num_ranks > 0, "a run of ", num_ranks, " ranks");
  std::vector<RankPlace> places;
  for (size_t rank = 0; rank < static_cast<size_t>(num_ranks); ++rank) {
    const std::string host = options.hosts.empty() ? host_name() : options.hosts.at(rank);
    places.push_back({host, host});
  }
  std::vector<std::string> hosts;
  for (const RankPlace& place : places) hosts.push_back(place.host);
  const auto hub = std::make_shared<LocalHub>(num_ranks);
  const auto table = ProgressTable::in_process(hosts);
  for (int rank = 0; rank < num_ranks; ++rank) table->join(rank);
  std::vector<std::unique_ptr<Communicator>> communicators(static_cast<size_t>(num_ranks));
  std::vector<std::thread> threads;  // the ranks meet while they are made
  for (int rank = 0; rank < num_ranks; ++rank)
    threads.emplace_back([&, rank] {
      communicators[static_cast<size_t>(rank)] =
          make_world(std::make_shared<LocalFabric>(hub, rank), table, places, options.deadline);
    });
  for (std::thread& thread : threads) thread.join();
  return communicators;
}

std::unique_ptr<Communicator> make_single_communicator() {
  return std::move(make_local_communicators(1)[0]);
}

}  // namespace triga
