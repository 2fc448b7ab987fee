// Operation: what a rank means to do; Opening: the same as it travels to the peers at the start of
// an operation, in front of a small payload.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "comm/communicator.h"
#include "comm/fabric.h"

namespace triga {

enum class OperationKind : uint8_t {
  kAllReduce,
  kReduceScatter,
  kAllGather,
  kBroadcast,
  kBarrier,
  kGatherText,
  kBroadcastText,
  kAllocate,
  kSplit,
  kFinish,
  kSend,
  kReceive
};

struct Operation {
  OperationKind kind = OperationKind::kBarrier;
  at::ScalarType type = at::kByte;
  ReduceOp op = ReduceOp::kSum;
  int root = 0;        // of a broadcast
  int64_t numel = 0;   // elements of the tensor, of a rank's part of it, or of the text
  uint64_t place = 0;  // of the tensor in the shared buffers; 0: elsewhere
  std::string what;
  int64_t step = 0;
  std::chrono::milliseconds deadline{};
  std::chrono::milliseconds longest_stop{};  // of a rank, by SIGSTOP; silence of one elsewhere
};

/// all_reduce "gradients of bucket 3".
std::string name_of(const Operation& operation);

/// Payloads up to this many bytes travel with the opening. With it a message stays below the size
/// (4 KB) up to which MPI sends through shared memory without a handshake.
inline constexpr size_t kInlineBytes = 3072;

/// Plain data: ranks run the same program on machines of one kind.
struct Opening {
  uint32_t magic;
  OperationKind kind;
  uint8_t type;
  uint8_t op;
  uint8_t unused;
  int32_t root;
  int32_t unused2;
  int64_t numel;
  int64_t step;
  uint64_t place;
  uint64_t what_hash;  // of the whole name
  char what[88];       // its beginning
};
inline constexpr size_t kOpeningBytes = sizeof(Opening) + kInlineBytes;

/// An opening in a buffer of kOpeningBytes.
class OpeningView {
 public:
  explicit OpeningView(Bytes bytes) : bytes_(std::move(bytes)) {}

  void write(const Operation& operation, const Bytes& payload);
  Opening header() const;
  std::byte* payload() const { return bytes_.data + sizeof(Opening); }
  /// The message with a payload of so many bytes.
  Bytes message(size_t payload_bytes) const {
    return bytes_.part(0, sizeof(Opening) + payload_bytes);
  }

 private:
  Bytes bytes_;
};

/// Do both ranks mean the same operation? A send and a receive match each other.
bool is_same(const Opening& a, const Opening& b);
/// Of what is_same() compares.
uint64_t digest_of(const Opening& opening);

/// all_reduce sum of 1021 fp32 "gradients of bucket 3" (step 17).
std::string to_text(const Opening& opening);

}  // namespace triga
