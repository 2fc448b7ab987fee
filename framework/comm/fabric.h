// Fabric: point-to-point messages between the ranks of a run. It is all that an implementation of
// communication has to provide (threads of one process: local_communicator.cpp; MPI:
// mpi/mpi_fabric.cpp). Collectives, order, checks, deadlines and failure are written once, above
// it, in channel.h and message_communicator.h.
//
// Messages from one rank to another with the same tag arrive in the order in which they were sent.
// Nothing here blocks: a message moves while somebody asks whether it is done.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace triga {

/// Memory of a message, and what keeps it alive. Never null for more than zero bytes.
struct Bytes {
  std::byte* data = nullptr;
  size_t size = 0;
  std::shared_ptr<const void> owner;

  Bytes part(size_t offset, size_t bytes) const { return {data + offset, bytes, owner}; }
};

/// A message under way. Destroying one that is not done gives it up: its memory stays alive as long
/// as the fabric may still touch it.
class Message {
 public:
  virtual ~Message() = default;
  /// Drives the message. Throws: CommError.
  virtual bool is_done() = 0;
};

/// Threads: any thread may call, several at once.
class Fabric {
 public:
  virtual ~Fabric() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// The memory must not change until the message is done.
  virtual std::unique_ptr<Message> send(int to, int tag, Bytes bytes) = 0;
  /// The message may be shorter than `bytes`; a longer one is an error.
  virtual std::unique_ptr<Message> receive(int from, int tag, Bytes bytes) = 0;

  /// Called before each step of an operation that goes over shared memory and not over a message: a
  /// meeting, a reduction in place. Does nothing; it is where tests let a rank fail.
  virtual void before_shared_step() {}

  /// The regular end (MPI_Finalize), when every rank is known to be here and nothing is under way.
  /// Never after an error.
  virtual void finish() = 0;
};

}  // namespace triga
