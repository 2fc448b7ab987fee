// Token files: a text's tokens on the disk, so that it is cut into tokens once, by one of all
// processes that read it, and none of them holds all of it in memory. A file is the tokens of all
// documents one after the other, in the smallest integer type that holds the vocabulary (little
// endian), then the end of each document (int64), then a footer (token_file.cpp). Its place is the
// cache, so its form may change with any version.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "data/fingerprint.h"

namespace triga {

/// Writes one. What the file system throws passes through.
class TokenFileWriter {
 public:
  TokenFileWriter(std::unique_ptr<WritableFile> file, int64_t vocab_size);

  /// Adds a document. Requires: 0 <= each token < vocab_size.
  void add(const std::vector<int32_t>& tokens);
  /// The file is complete and on the disk when it returns.
  void finish();

 private:
  void flush();

  std::unique_ptr<WritableFile> file_;
  int64_t token_bytes_;
  std::string buffer_;
  std::vector<int64_t> ends_;
  Fingerprint fingerprint_;
};

/// Reads one. Thread-safe.
class TokenFile {
 public:
  /// `place`: its path, for messages. Throws: DataError when it is damaged or cannot be read.
  TokenFile(std::unique_ptr<ReadableFile> file, const std::string& place);

  /// [document] the number of tokens up to its end.
  const std::vector<int64_t>& ends() const { return ends_; }
  int64_t num_tokens() const { return ends_.empty() ? 0 : ends_.back(); }
  /// Tokens [begin, end) as int64. Throws: DataError when they cannot be read.
  at::Tensor slice(int64_t begin, int64_t end) const;
  /// Of tokens and ends.
  const std::string& fingerprint() const { return fingerprint_; }

 private:
  std::unique_ptr<ReadableFile> file_;
  std::string place_;
  int64_t token_bytes_ = 0;
  std::vector<int64_t> ends_;
  std::string fingerprint_;
};

/// Files that live in memory, for when nothing can be cached: what is written to the first can be
/// read from the second.
std::unique_ptr<WritableFile> write_to_memory(std::shared_ptr<std::string> bytes);
std::unique_ptr<ReadableFile> read_from_memory(std::shared_ptr<const std::string> bytes);

}  // namespace triga
