#include "data/token_file.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "triga/error.h"

namespace triga {
namespace {

constexpr char kMagic[8] = {'T', 'R', 'I', 'G', 'A', 'T', 'O', '1'};
constexpr size_t kFlushBytes = 4 << 20;

struct Footer {
  char magic[8];
  int64_t token_bytes, num_tokens, num_documents;
  char fingerprint[32];  // of what is before it
};
static_assert(sizeof(Footer) == 64);

int64_t bytes_of_token(int64_t vocab_size) {
  return vocab_size <= 1 << 8 ? 1 : vocab_size <= 1 << 16 ? 2 : 4;
}

template <class Token>
void widen(const std::string& bytes, int64_t count, int64_t* out) {
  for (int64_t i = 0; i < count; ++i) {
    Token token;
    std::memcpy(&token, bytes.data() + static_cast<size_t>(i) * sizeof token, sizeof token);
    out[i] = static_cast<int64_t>(token);
  }
}

class MemoryWriter final : public WritableFile {
 public:
  explicit MemoryWriter(std::shared_ptr<std::string> bytes) : bytes_(std::move(bytes)) {}
  void append(const void* data, size_t size) override {
    bytes_->append(static_cast<const char*>(data), size);
  }
  void sync() override {}
  void close() override {}

 private:
  std::shared_ptr<std::string> bytes_;
};

class MemoryReader final : public ReadableFile {
 public:
  explicit MemoryReader(std::shared_ptr<const std::string> bytes) : bytes_(std::move(bytes)) {}
  uint64_t size() const override { return bytes_->size(); }
  void read(uint64_t offset, void* data, size_t size) const override {
    if (offset > bytes_->size() || size > bytes_->size() - offset)
      throw FileError("read", "memory", EIO);
    std::memcpy(data, bytes_->data() + offset, size);
  }

 private:
  std::shared_ptr<const std::string> bytes_;
};

}  // namespace

TokenFileWriter::TokenFileWriter(std::unique_ptr<WritableFile> file, int64_t vocab_size)
    : file_(std::move(file)), token_bytes_(bytes_of_token(vocab_size)) {}

void TokenFileWriter::add(const std::vector<int32_t>& tokens) {
  const size_t before = buffer_.size();
  for (const int32_t token : tokens)
    buffer_.append(reinterpret_cast<const char*>(&token), static_cast<size_t>(token_bytes_));
  ends_.push_back((ends_.empty() ? 0 : ends_.back()) + static_cast<int64_t>(tokens.size()));
  fingerprint_.add(std::string_view(buffer_).substr(before));
  if (buffer_.size() >= kFlushBytes) flush();
}

void TokenFileWriter::flush() {
  file_->append(buffer_.data(), buffer_.size());
  buffer_.clear();
}

void TokenFileWriter::finish() {
  flush();
  file_->append(ends_.data(), ends_.size() * sizeof(int64_t));
  Footer footer{};
  std::copy(std::begin(kMagic), std::end(kMagic), footer.magic);
  footer.token_bytes = token_bytes_;
  footer.num_tokens = ends_.empty() ? 0 : ends_.back();
  footer.num_documents = static_cast<int64_t>(ends_.size());
  const std::string fingerprint = fingerprint_.text();
  TRIGA_CHECK(fingerprint.size() == sizeof footer.fingerprint, fingerprint);
  std::copy(fingerprint.begin(), fingerprint.end(), footer.fingerprint);
  file_->append(&footer, sizeof footer);
  file_->sync();
  file_->close();
}

TokenFile::TokenFile(std::unique_ptr<ReadableFile> file, const std::string& place)
    : file_(std::move(file)), place_(place) {
  const auto damaged = [&] {
    return DataError(place +
                     ": not a token file that this version wrote; remove it, and it is made anew");
  };
  try {
    const uint64_t size = file_->size();
    if (size < sizeof(Footer)) throw damaged();
    Footer footer;
    file_->read(size - sizeof footer, &footer, sizeof footer);
    const auto most = static_cast<int64_t>(size);
    const bool is_sound =
        std::equal(std::begin(kMagic), std::end(kMagic), footer.magic) &&
        (footer.token_bytes == 1 || footer.token_bytes == 2 || footer.token_bytes == 4) &&
        footer.num_tokens >= 0 && footer.num_tokens <= most && footer.num_documents >= 0 &&
        footer.num_documents <= most &&
        most == footer.num_tokens * footer.token_bytes +
                    footer.num_documents * int64_t{sizeof(int64_t)} + int64_t{sizeof footer};
    if (!is_sound) throw damaged();
    token_bytes_ = footer.token_bytes;
    fingerprint_.assign(std::begin(footer.fingerprint), std::end(footer.fingerprint));
    ends_.resize(static_cast<size_t>(footer.num_documents));
    file_->read(static_cast<uint64_t>(footer.num_tokens * token_bytes_), ends_.data(),
                ends_.size() * sizeof(int64_t));
    if (num_tokens() != footer.num_tokens || !std::is_sorted(ends_.begin(), ends_.end()))
      throw damaged();
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
}

at::Tensor TokenFile::slice(int64_t begin, int64_t end) const {
  TRIGA_CHECK(0 <= begin && begin <= end && end <= num_tokens(), "tokens ", begin, " to ", end,
              " of ", num_tokens());
  const int64_t count = end - begin;
  std::string bytes(static_cast<size_t>(count * token_bytes_), '\0');
  try {
    file_->read(static_cast<uint64_t>(begin * token_bytes_), bytes.data(), bytes.size());
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
  at::Tensor result = at::empty({count}, at::kLong);
  int64_t* out = result.mutable_data_ptr<int64_t>();
  if (token_bytes_ == 1)
    widen<uint8_t>(bytes, count, out);
  else if (token_bytes_ == 2)
    widen<uint16_t>(bytes, count, out);
  else
    widen<int32_t>(bytes, count, out);
  return result;
}

std::unique_ptr<WritableFile> write_to_memory(std::shared_ptr<std::string> bytes) {
  return std::make_unique<MemoryWriter>(std::move(bytes));
}

std::unique_ptr<ReadableFile> read_from_memory(std::shared_ptr<const std::string> bytes) {
  return std::make_unique<MemoryReader>(std::move(bytes));
}

}  // namespace triga
