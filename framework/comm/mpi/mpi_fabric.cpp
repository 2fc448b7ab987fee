// The fabric over MPI: nonblocking point-to-point messages, and nothing else of MPI. One thread a
// communicator and the calling thread use it at once (MPI_THREAD_MULTIPLE), on a communicator of
// MPI that nobody else uses.
//
// Nothing here waits, so a dead peer cannot hold a thread inside MPI: deadlines and failures are
// the caller's, above.
#include <mpi.h>

#include <array>
#include <climits>
#include <mutex>
#include <string>
#include <vector>

#include "comm/mpi_entry.h"
#include "triga/error.h"

namespace triga {
namespace {

void check_mpi(int result, const char* call, const char* file, int line) {
  if (result == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(result, text.data(), &length);
  int rank = -1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  throw CommError(c10::str("MPI failed on rank ", rank, ": ", std::string(text.data(), length),
                           "\n  at ", file, ":", line, ": ", call));
}

#define TRIGA_MPI(call) check_mpi(call, #call, __FILE__, __LINE__)

// Messages that were given up: MPI may still write into their memory, so it is kept until the
// process ends.
class GivenUp {
 public:
  void keep(MPI_Request request, Bytes bytes) {
    std::lock_guard lock(mutex_);
    kept_.emplace_back(request, std::move(bytes));
  }
  bool is_empty() {
    std::lock_guard lock(mutex_);
    return kept_.empty();
  }

 private:
  std::mutex mutex_;
  std::vector<std::pair<MPI_Request, Bytes>> kept_;
};

class MpiMessage final : public Message {
 public:
  MpiMessage(std::shared_ptr<GivenUp> given_up, Bytes bytes)
      : given_up_(std::move(given_up)), bytes_(std::move(bytes)) {}
  ~MpiMessage() override {
    if (request != MPI_REQUEST_NULL) given_up_->keep(request, std::move(bytes_));
  }

  bool is_done() override {
    int done = 1;
    if (request != MPI_REQUEST_NULL) TRIGA_MPI(MPI_Test(&request, &done, MPI_STATUS_IGNORE));
    return done != 0;
  }

  MPI_Request request = MPI_REQUEST_NULL;

 private:
  const std::shared_ptr<GivenUp> given_up_;
  Bytes bytes_;
};

class MpiFabric final : public Fabric {
 public:
  MpiFabric() {
    int was_initialized = 0;
    TRIGA_MPI(MPI_Initialized(&was_initialized));
    if (was_initialized) throw CommError("MPI is initialised already: one world a process");
    int provided = 0;
    TRIGA_MPI(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &provided));
    if (provided < MPI_THREAD_MULTIPLE)
      throw CommError(
          "this MPI was built without MPI_THREAD_MULTIPLE, which Triga needs: see `triga doctor`");
    TRIGA_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    TRIGA_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &communicator_));
    TRIGA_MPI(MPI_Comm_set_errhandler(communicator_, MPI_ERRORS_RETURN));
    TRIGA_MPI(MPI_Comm_rank(communicator_, &rank_));
    TRIGA_MPI(MPI_Comm_size(communicator_, &size_));
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }

  std::unique_ptr<Message> send(int to, int tag, Bytes bytes) override {
    auto message = std::make_unique<MpiMessage>(given_up_, bytes);
    TRIGA_MPI(
        MPI_Isend(bytes.data, count(bytes), MPI_BYTE, to, tag, communicator_, &message->request));
    return message;
  }

  std::unique_ptr<Message> receive(int from, int tag, Bytes bytes) override {
    auto message = std::make_unique<MpiMessage>(given_up_, bytes);
    TRIGA_MPI(
        MPI_Irecv(bytes.data, count(bytes), MPI_BYTE, from, tag, communicator_, &message->request));
    return message;
  }

  void finish() override {
    TRIGA_CHECK(given_up_->is_empty(), "MPI cannot be finalised while messages are under way");
    TRIGA_MPI(MPI_Comm_free(&communicator_));
    TRIGA_MPI(MPI_Finalize());
  }

 private:
  static int count(const Bytes& bytes) {
    TRIGA_CHECK(bytes.size <= INT_MAX, "a message of ", bytes.size, " bytes");
    return static_cast<int>(bytes.size);
  }

  const std::shared_ptr<GivenUp> given_up_ = std::make_shared<GivenUp>();
  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 0;
};

}  // namespace
}  // namespace triga

extern "C" {

__attribute__((visibility("default"))) triga::Fabric* triga_open_mpi_fabric() {
  return new triga::MpiFabric();
}

__attribute__((visibility("default"))) const char* triga_mpi_version() {
  static std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  return text.data();
}
}
