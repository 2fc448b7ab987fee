// A FileSystem in memory that knows what a crash may take away: it keeps, beside what programs see,
// what is on the disk for certain (bytes after sync(), names after sync_directory()), and crash()
// makes one of the states that a disk may be in after a loss of power. Names of one rename change
// together, as on the file systems that we run on.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"

namespace triga::test {

enum class Crash {
  kKeepsAll,       // only the process died
  kLosesUnsynced,  // nothing that was not synced is there
  kTears  // of what was not synced, any part is there: some names, some bytes, some garbage
};

class MemoryFiles : public FileSystem {
 public:
  MemoryFiles();
  /// A copy of what is durable in `other`.
  MemoryFiles(const MemoryFiles& other);

  /// The state after the crash; the next start sees this. Files that are open must not be used any
  /// more.
  void crash(Crash crash, unsigned seed = 0);
  /// The bytes of a file, to read or to damage.
  std::string& content(const Path& path);
  /// Bytes that all files together may take.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  /// What free_space() answers, whatever is true.
  void pretend_free_space(uint64_t bytes) { pretended_ = bytes; }

  std::unique_ptr<WritableFile> create(const Path& path) override;
  std::unique_ptr<ReadableFile> open(const Path& path) override;
  std::optional<FileKind> kind(const Path& path) override;
  uint64_t size(const Path& path) override;
  std::vector<std::string> list(const Path& path) override;
  std::string read_link(const Path& path) override;
  uint64_t free_space(const Path& path) override;
  void rename(const Path& from, const Path& to) override;
  void remove_file(const Path& path) override;
  void remove_directory(const Path& path) override;
  void make_directory(const Path& path) override;
  void make_link(const std::string& target, const Path& path) override;
  void sync_directory(const Path& path) override;
  std::unique_ptr<FileLock> try_lock(const Path& path) override;

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Entries = std::map<std::string, NodePtr>;
  using Change =
      std::vector<std::pair<std::string, NodePtr>>;  // names that change together; null: gone
  struct Node {
    FileKind kind = FileKind::kFile;
    std::string content, durable_content;  // of a file; the target of a link
    Entries entries, durable_entries;      // of a directory
    std::vector<Change> pending;           // since its last sync_directory
  };
  class OpenForWriting;
  class OpenForReading;
  class Held;

  static NodePtr get(const Node& directory, const std::string& name);
  static void settle(Node& node, Crash crash, std::mt19937& random);
  static void settle_entries(Node& node, Crash crash, std::mt19937& random);
  static std::string torn(const Node& node, std::mt19937& random);
  static NodePtr durable_copy(const Node& node);
  static uint64_t bytes_below(const Node& node);

  /// Null: there is no such thing. Links in the middle are always followed. Paths have no "." and
  /// no "..".
  NodePtr find(const Path& path, bool follow_last, int depth = 0) const;
  NodePtr existing(const Path& path, const char* action, bool follow_last) const;
  NodePtr directory_at(const Path& path, const char* action) const;
  /// The directory that holds (or may come to hold) the name at the end of a path.
  std::pair<NodePtr, std::string> locate(Path path, const char* action, bool follow_last) const;
  void add(const Path& path, FileKind kind, const std::string& target);
  void remove(const Path& path, bool is_directory);

  std::mutex mutex_;
  NodePtr root_ = std::make_shared<Node>();
  std::set<std::string> locked_;
  uint64_t capacity_ = uint64_t{1} << 40, used_ = 0;
  std::optional<uint64_t> pretended_;
};

}  // namespace triga::test
