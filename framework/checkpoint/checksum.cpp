#include "checkpoint/checksum.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <xxhash.h>

namespace triga {
namespace {

// What is hashed and then written (or read and then hashed) in one go: small enough to stay in the
// cache between the two.
constexpr size_t kPieceBytes = size_t{1} << 20;

std::string hexadecimal(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string digits;
  for (unsigned char byte : canonical.digest) digits += fmt::format("{:02x}", byte);
  return digits;
}

struct FreeState {
  void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
};

std::unique_ptr<XXH3_state_t, FreeState> make_state() {
  std::unique_ptr<XXH3_state_t, FreeState> state(XXH3_createState());
  TRIGA_CHECK(state != nullptr, "no memory for a checksum");
  XXH3_128bits_reset(state.get());
  return state;
}

// One file while it is verified. Blocks of it may be compared by several threads.
struct Verification {
  const FileRecord* record = nullptr;
  std::unique_ptr<ReadableFile> file;  // null: `problem` says why
  std::string problem;
  std::mutex mutex;  // of the two below
  size_t num_bad_blocks = 0;
  size_t first_bad_block = 0;

  void open(FileSystem& files, const Path& root) {
    try {
      auto opened = files.open(root / record->path);
      if (opened->size() == record->bytes) {
        file = std::move(opened);
      } else {
        problem = fmt::format("{}: {} bytes, but the manifest says {}", record->path,
                              opened->size(), record->bytes);
      }
    } catch (const FileError& error) {
      problem = error.is_missing() ? record->path + ": the file is missing"
                                   : record->path + ": " + error.what();
    }
  }

  void compare_block(size_t block, std::vector<char>& buffer) {
    const uint64_t begin = block * kChecksumBlockBytes;
    const uint64_t end = std::min(begin + kChecksumBlockBytes, record->bytes);
    auto state = make_state();
    for (uint64_t at = begin; at < end; at += kPieceBytes) {
      const size_t size = std::min<uint64_t>(kPieceBytes, end - at);
      file->read(at, buffer.data(), size);
      XXH3_128bits_update(state.get(), buffer.data(), size);
    }
    if (hexadecimal(XXH3_128bits_digest(state.get())) == record->blocks[block]) return;
    std::lock_guard lock(mutex);
    first_bad_block = num_bad_blocks == 0 ? block : std::min(first_bad_block, block);
    ++num_bad_blocks;
  }

  std::string sentence() const {
    if (!problem.empty() || num_bad_blocks == 0) return problem;
    const uint64_t begin = first_bad_block * kChecksumBlockBytes;
    const uint64_t end = std::min(begin + kChecksumBlockBytes, record->bytes);
    const auto more =
        num_bad_blocks > 1 ? fmt::format(" (and {} more places)", num_bad_blocks - 1) : "";
    return fmt::format("{}: bytes {}..{}: checksum differs from the manifest{}", record->path,
                       begin, end, more);
  }
};

}  // namespace

std::string checksum_of(std::string_view bytes) {
  return hexadecimal(XXH3_128bits(bytes.data(), bytes.size()));
}

struct ChecksummedFile::Hash {
  std::unique_ptr<XXH3_state_t, FreeState> state = make_state();
};

ChecksummedFile::ChecksummedFile(FileSystem& files, const Path& root, std::string path,
                                 uint64_t bytes)
    : file_(bytes < kLargeFileBytes ? files.create(root / path) : files.create_large(root / path)),
      hash_(std::make_unique<Hash>()) {
  record_.path = std::move(path);
}

ChecksummedFile::~ChecksummedFile() = default;

void ChecksummedFile::append(const void* data, size_t size) {
  const char* next = static_cast<const char*>(data);
  while (size > 0) {
    const size_t piece =
        std::min<uint64_t>({size, kPieceBytes, kChecksumBlockBytes - block_bytes_});
    XXH3_128bits_update(hash_->state.get(), next, piece);
    file_->append(next, piece);
    next += piece;
    size -= piece;
    block_bytes_ += piece;
    record_.bytes += piece;
    if (block_bytes_ == kChecksumBlockBytes) end_block();
  }
}

void ChecksummedFile::end_block() {
  record_.blocks.push_back(hexadecimal(XXH3_128bits_digest(hash_->state.get())));
  XXH3_128bits_reset(hash_->state.get());
  block_bytes_ = 0;
}

FileRecord ChecksummedFile::finish() {
  if (block_bytes_ > 0) end_block();
  file_->sync();
  file_->close();
  return std::move(record_);
}

std::vector<std::string> verify_files(FileSystem& files, const Path& root,
                                      const std::vector<FileRecord>& records, int num_threads) {
  std::vector<Verification> verifications(records.size());
  std::vector<std::pair<size_t, size_t>> blocks;  // (record, block) to compare
  for (size_t i = 0; i < records.size(); ++i) {
    verifications[i].record = &records[i];
    verifications[i].open(files, root);
    if (!verifications[i].file) continue;
    for (size_t block = 0; block < records[i].blocks.size(); ++block) blocks.emplace_back(i, block);
  }

  std::atomic<size_t> next = 0;
  std::exception_ptr unexpected;
  std::mutex unexpected_mutex;
  uint64_t total_bytes = 0;
  for (const auto& record : records) total_bytes += record.bytes;
  auto work = [&] {
    std::vector<char> buffer(std::min<uint64_t>(kPieceBytes, total_bytes));
    for (size_t i = next++; i < blocks.size(); i = next++) {
      auto& verification = verifications[blocks[i].first];
      try {
        verification.compare_block(blocks[i].second, buffer);
      } catch (const FileError& error) {
        std::lock_guard lock(verification.mutex);
        verification.problem = verification.record->path + ": " + error.what();
      } catch (...) {
        std::lock_guard lock(unexpected_mutex);
        unexpected = std::current_exception();
        return;
      }
    }
  };
  // A thread costs more than to read a few megabytes.
  const auto num_useful =
      static_cast<int>(std::min<uint64_t>(num_threads, 1 + total_bytes / kChecksumBlockBytes));
  std::vector<std::thread> threads;
  for (int i = 1; i < num_useful; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  if (unexpected) std::rethrow_exception(unexpected);

  std::vector<std::string> sentences;
  for (const auto& verification : verifications)
    if (auto sentence = verification.sentence(); !sentence.empty())
      sentences.push_back(std::move(sentence));
  return sentences;
}

}  // namespace triga
