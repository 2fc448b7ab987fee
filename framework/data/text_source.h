// TextSource: documents out of plain text files. The first half of the dataset kind `text`;
// make_token_dataset is the second.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "triga/dataset.h"

namespace triga {

struct TextSourceOptions {
  std::vector<std::string> files;  // patterns, see expand_files

  enum class Document { kFile, kLine };
  Document document = Document::kFile;

  /// The part [from, to) of the bytes of all files one after the other. A document belongs to the
  /// part in which its first byte lies; a single document is cut, before a character. So parts that
  /// touch, such as {to: 0.9} and {from: 0.9}, share nothing and leave nothing out, whatever the
  /// other options of their datasets are. Requires: 0 <= from < to <= 1.
  double from = 0, to = 1;
};

/// Documents are files, or their lines that are not blank. Reads a file when one of its documents
/// is asked for, and holds the last one of each thread.
class TextSource final : public DocumentSource {
 public:
  /// Finds the documents. Throws: DataError (no such file, cannot be read, empty, nothing left by
  /// from and to).
  explicit TextSource(const TextSourceOptions& options);

  int64_t size() const override { return static_cast<int64_t>(documents_.size()); }
  /// A line is given without its end. Throws: DataError (the file changed or is not UTF-8).
  std::string_view document(int64_t index) const override;
  std::string fingerprint() const override;

 private:
  struct Piece {
    size_t file;
    int64_t begin, end;  // bytes of the file
  };
  struct Contents {
    size_t file;
    std::string bytes;
  };
  void find_documents(const TextSourceOptions& options);
  void take(double from, double to);
  void cut_single_document(int64_t from, int64_t to);
  std::string_view contents(size_t file) const;

  std::vector<std::string> files_;
  std::vector<int64_t> sizes_;  // [file] bytes
  std::vector<Piece> documents_;

  mutable std::mutex mutex_;  // guards the map, not the contents
  mutable std::unordered_map<std::thread::id, Contents> last_read_;
};

}  // namespace triga
