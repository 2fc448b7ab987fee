// Parsing is done by events, not into a tree: the tree would silently keep one of two tensors of
// the same name.
#include "checkpoint/safetensors_header.h"

#include <c10/core/ScalarType.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace triga {
namespace {

using nlohmann::json;

struct DtypeWord {
  const char* word;
  at::ScalarType dtype;
};

constexpr DtypeWord kDtypes[] = {
    {"BOOL", at::kBool},
    {"U8", at::kByte},
    {"I8", at::kChar},
    {"F8_E5M2", at::kFloat8_e5m2},
    {"F8_E4M3", at::kFloat8_e4m3fn},
    {"F8_E8M0", at::kFloat8_e8m0fnu},
    {"I16", at::kShort},
    {"U16", at::kUInt16},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"I32", at::kInt},
    {"U32", at::kUInt32},
    {"F32", at::kFloat},
    {"C64", at::kComplexFloat},
    {"F64", at::kDouble},
    {"I64", at::kLong},
    {"U64", at::kUInt64},
};

// The data begins at a multiple of this, so that whole pages of it can go to the disk as they lie.
constexpr uint64_t kHeaderAlignment = kDirectAlignment;

// Builds the header from the parser's events, which have to come in the order of the format; throws
// at the first that does not. Levels: 1 names, 2 fields of one tensor (or metadata), 3 numbers of
// one field.
class HeaderEvents final : public nlohmann::json_sax<json> {
 public:
  explicit HeaderEvents(const std::string& where) : where_(where) {}

  struct Entry {
    TensorInfo info;
    std::string dtype_word;
    bool has_shape = false;
    std::vector<uint64_t> range;
  };
  Metadata metadata;
  std::vector<Entry> entries;

  bool start_object(std::size_t) override {
    if (level_ == 2 || level_ == 3) fail("an object");
    ++level_;
    if (level_ == 2 && !in_metadata_) {
      entries.emplace_back();
      entries.back().info.name = name_;
    }
    return true;
  }
  bool end_object() override {
    if (level_ == 2 && !in_metadata_) {
      const Entry& entry = entries.back();
      if (entry.dtype_word.empty() || !entry.has_shape || entry.range.size() != 2)
        throw CheckpointError(fmt::format(
            "{}: {} needs dtype, shape, and data_offsets of two numbers", where_, place()));
    }
    --level_;
    in_metadata_ = false;
    fields_.clear();
    return true;
  }
  bool key(std::string& key) override {
    auto& known = level_ == 1 ? names_ : fields_;
    if (!known.insert(key).second)
      throw CheckpointError(fmt::format("{}: the name '{:.80}' is there twice", where_, key));
    (level_ == 1 ? name_ : field_) = key;
    if (level_ == 1) in_metadata_ = key == "__metadata__";
    return true;
  }
  bool start_array(std::size_t) override {
    if (level_ != 2 || in_metadata_ || (field_ != "shape" && field_ != "data_offsets"))
      fail("a list");
    if (field_ == "shape") entries.back().has_shape = true;
    ++level_;
    return true;
  }
  bool end_array() override {
    --level_;
    return true;
  }
  bool number_unsigned(uint64_t value) override {
    if (level_ != 3) fail("a number");
    if (field_ == "data_offsets") {
      entries.back().range.push_back(value);
    } else {
      if (value > INT64_MAX) fail("an extent that is too large");
      entries.back().info.shape.push_back(static_cast<int64_t>(value));
    }
    return true;
  }
  bool string(std::string& value) override {
    if (level_ != 2) fail("a string");
    if (in_metadata_) {
      metadata[field_] = value;
    } else if (field_ == "dtype") {
      entries.back().dtype_word = value;
    } else {
      fail("a string");
    }
    return true;
  }
  bool null() override { fail("null"); }
  bool boolean(bool) override { fail("true or false"); }
  bool number_integer(int64_t) override { fail("a negative number"); }
  bool number_float(double, const std::string&) override { fail("a number that is not a count"); }
  bool binary(json::binary_t&) override { fail("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception& error) override {
    throw CheckpointError(fmt::format("{}: the header is not JSON at byte {}: {:.200}", where_,
                                      kLengthBytes + position, error.what()));
  }

 private:
  std::string place() const {
    if (level_ == 0 || name_.empty()) return "the header";
    if (in_metadata_) return "the metadata";
    return fmt::format("tensor '{:.80}'", name_);
  }
  [[noreturn]] void fail(const char* what) const {
    throw CheckpointError(
        fmt::format("{}: {} has {} where the format does not allow it", where_, place(), what));
  }

  const std::string& where_;
  int level_ = 0;
  bool in_metadata_ = false;
  std::string name_, field_;
  std::set<std::string> names_, fields_;
};

// Bytes of a tensor; nothing when the product is too large for any file.
std::optional<uint64_t> bytes_of(const std::vector<int64_t>& shape, at::ScalarType dtype) {
  uint64_t product = c10::elementSize(
      dtype);  // with zeros counted as ones, so that strides cannot overflow either
  bool is_empty = false;
  for (int64_t extent : shape) {
    is_empty |= extent == 0;
    if (__builtin_mul_overflow(product, std::max<uint64_t>(1, static_cast<uint64_t>(extent)),
                               &product) ||
        product > INT64_MAX)
      return std::nullopt;
  }
  return is_empty ? 0 : product;
}

at::ScalarType dtype_from_word(const std::string& word, const std::string& where) {
  std::string known;
  for (const auto& entry : kDtypes) {
    if (word == entry.word) return entry.dtype;
    known += std::string(" ") + entry.word;
  }
  throw CheckpointError(
      fmt::format("{}: the dtype '{:.40}' is not known; known are{}", where, word, known));
}

}  // namespace

std::string safetensors_dtype(at::ScalarType dtype) {
  for (const auto& entry : kDtypes)
    if (dtype == entry.dtype) return entry.word;
  throw CheckpointError(c10::str("safetensors has no dtype for ", dtype));
}

SafetensorsHeader parse_header(std::string_view text, uint64_t data_offset, uint64_t data_bytes,
                               const std::string& where) {
  if (text.empty() || text.front() != '{')
    throw CheckpointError(where + ": not a safetensors file: its header does not begin with '{'");
  if (text.find('\0') != std::string_view::npos)  // the parser would take it for the end
    throw CheckpointError(where + ": not a safetensors file: its header has a zero byte");
  HeaderEvents events(where);
  json::sax_parse(text.begin(), text.end(), &events);

  SafetensorsHeader header;
  header.metadata = std::move(events.metadata);
  for (auto& entry : events.entries) {
    TensorInfo& info = entry.info;
    const auto name = fmt::format("{}: tensor '{:.80}'", where, info.name);
    const auto [begin, end] = std::pair(entry.range[0], entry.range[1]);
    if (begin > end || end > data_bytes)
      throw CheckpointError(fmt::format("{}: bytes {}..{} do not lie in the {} bytes of data", name,
                                        begin, end, data_bytes));
    info.dtype = dtype_from_word(entry.dtype_word, name);
    info.bytes = end - begin;
    info.offset = data_offset + begin;
    if (bytes_of(info.shape, info.dtype) != info.bytes)
      throw CheckpointError(fmt::format("{}: {} does not take the {} bytes that it has", name,
                                        describe(info), info.bytes));
    header.tensors.push_back(std::move(info));
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const TensorInfo& a, const TensorInfo& b) {
              return std::tie(a.offset, a.bytes, a.name) < std::tie(b.offset, b.bytes, b.name);
            });
  uint64_t covered = data_offset;
  for (const auto& info : header.tensors) {
    if (info.offset != covered)
      throw CheckpointError(fmt::format("{}: tensor '{:.80}' {} the tensor before it", where,
                                        info.name,
                                        info.offset < covered ? "overlaps" : "leaves a gap after"));
    covered += info.bytes;
  }
  if (covered != data_offset + data_bytes)
    throw CheckpointError(fmt::format("{}: {} bytes at its end belong to no tensor", where,
                                      data_offset + data_bytes - covered));
  return header;
}

std::string format_header(const std::vector<TensorInfo>& tensors, const Metadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t begin = 0;
  for (const auto& info : tensors) {
    header[info.name] = {{"dtype", safetensors_dtype(info.dtype)},
                         {"shape", info.shape},
                         {"data_offsets", {begin, begin + info.bytes}}};
    begin += info.bytes;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    throw CheckpointError(fmt::format("a tensor's name is not UTF-8: {:.200}", error.what()));
  }
  const uint64_t unpadded = kLengthBytes + text.size();
  text.append((kHeaderAlignment - unpadded % kHeaderAlignment) % kHeaderAlignment, ' ');
  TRIGA_CHECK(text.size() <= kMaxHeaderBytes, "too many tensors for one safetensors file");
  return text;
}

}  // namespace triga
