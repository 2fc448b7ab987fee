#include "comm/opening.h"

#include <array>
#include <cstring>
#include <string_view>

#include "base/fixed_text.h"
#include "base/hash.h"

namespace triga {
namespace {

constexpr uint32_t kMagic = 0x54474132;  // "TGA2": changes with the layout of Opening

std::string_view word(OperationKind kind) {
  switch (kind) {
    case OperationKind::kAllReduce:
      return "all_reduce";
    case OperationKind::kReduceScatter:
      return "reduce_scatter";
    case OperationKind::kAllGather:
      return "all_gather";
    case OperationKind::kBroadcast:
      return "broadcast";
    case OperationKind::kBarrier:
      return "barrier";
    case OperationKind::kGatherText:
      return "all_gather_text";
    case OperationKind::kBroadcastText:
      return "broadcast_text";
    case OperationKind::kAllocate:
      return "allocate";
    case OperationKind::kSplit:
      return "split";
    case OperationKind::kFinish:
      return "finish";
    case OperationKind::kSend:
      return "send";
    case OperationKind::kReceive:
      return "recv";
  }
  return "unknown operation";
}

std::string_view word(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return "fp32";
    case at::kDouble:
      return "fp64";
    case at::kHalf:
      return "fp16";
    case at::kBFloat16:
      return "bf16";
    case at::kInt:
      return "int32";
    case at::kLong:
      return "int64";
    case at::kByte:
      return "uint8";
    default:
      return toString(type);
  }
}

std::string_view word(ReduceOp op) {
  return op == ReduceOp::kSum ? "sum" : op == ReduceOp::kMax ? "max" : "min";
}

bool reduces(OperationKind kind) {
  return kind == OperationKind::kAllReduce || kind == OperationKind::kReduceScatter;
}
bool has_root(OperationKind kind) {
  return kind == OperationKind::kBroadcast || kind == OperationKind::kBroadcastText;
}
// Do all ranks give as many elements?
bool has_common_numel(OperationKind kind) {
  return kind != OperationKind::kGatherText && kind != OperationKind::kBroadcastText &&
         kind != OperationKind::kSplit;
}

/// What ranks must agree on; a send and a receive match each other.
std::array<uint64_t, 6> compared(const Opening& opening) {
  const OperationKind kind =
      opening.kind == OperationKind::kReceive ? OperationKind::kSend : opening.kind;
  return {static_cast<uint64_t>(kind),
          opening.type,
          reduces(kind) ? opening.op : uint64_t{0},
          has_root(kind) ? static_cast<uint64_t>(opening.root) : 0,
          has_common_numel(kind) ? static_cast<uint64_t>(opening.numel) : 0,
          opening.what_hash};
}

}  // namespace

std::string name_of(const Operation& operation) {
  return c10::str(word(operation.kind), " \"", operation.what, "\"");
}

void OpeningView::write(const Operation& operation, const Bytes& payload) {
  Opening opening{};
  opening.magic = kMagic;
  opening.kind = operation.kind;
  opening.type = static_cast<uint8_t>(operation.type);
  opening.op = static_cast<uint8_t>(operation.op);
  opening.root = operation.root;
  opening.numel = operation.numel;
  opening.step = operation.step;
  opening.place = operation.place;
  opening.what_hash = hash(operation.what);
  const std::string_view beginning = beginning_of(operation.what, sizeof(opening.what) - 1);
  std::memcpy(opening.what, beginning.data(), beginning.size());
  std::memcpy(bytes_.data, &opening, sizeof(opening));
  if (payload.size > 0) std::memcpy(bytes_.data + sizeof(opening), payload.data, payload.size);
}

Opening OpeningView::header() const {
  Opening opening;
  std::memcpy(&opening, bytes_.data, sizeof(opening));
  if (opening.magic != kMagic)
    throw CommError("a rank of this run comes from another version of Triga");
  return opening;
}

bool is_same(const Opening& a, const Opening& b) {
  return compared(a) == compared(b);
}

uint64_t digest_of(const Opening& opening) {
  return hash(compared(opening));
}

std::string to_text(const Opening& opening) {
  std::string text(word(opening.kind));
  if (reduces(opening.kind)) text += c10::str(" ", word(static_cast<ReduceOp>(opening.op)));
  if (has_root(opening.kind)) text += c10::str(" from rank ", opening.root);
  if (has_common_numel(opening.kind) && opening.kind != OperationKind::kBarrier)
    text += c10::str(" of ", opening.numel, " ", word(static_cast<at::ScalarType>(opening.type)));
  return c10::str(text, " \"", opening.what, "\" (step ", opening.step, ")");
}

}  // namespace triga
