// A FileSystem in memory that knows what a crash may take away: it keeps, beside what programs see, what is on the disk
// for certain (bytes after sync(), names after sync_directory()), and crash() makes one of the states that a disk
// may be in after a loss of power. Names of one rename change together, as on the file systems that we run on.
#pragma once

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>
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
  kTears           // of what was not synced, any part is there: some names, some bytes, some garbage
};

class MemoryFiles : public FileSystem {
 public:
  MemoryFiles() { root_->kind = FileKind::kDirectory; }

  // --- for tests ---

  /// The state after the crash; the next start sees this. Files that are open must not be used any more.
  void crash(Crash crash, unsigned seed = 0) {
    std::lock_guard lock(mutex_);
    std::mt19937 random(seed);
    settle(*root_, crash, random);
    locked_.clear();
    used_ = bytes_below(*root_);
  }

  /// The bytes of a file, to read or to damage.
  std::string& content(const Path& path) {
    std::lock_guard lock(mutex_);
    return file_at(path, "damage")->content;
  }

  /// Bytes that all files together may take.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  /// What free_space() answers, whatever is true.
  void pretend_free_space(uint64_t bytes) { pretended_ = bytes; }

  // --- FileSystem ---

  std::unique_ptr<WritableFile> create(const Path& path) override {
    std::lock_guard lock(mutex_);
    auto [parent, name] = locate(path, "create", /*follow_last=*/true);
    auto& entry = parent->entries[name];
    if (entry && entry->kind != FileKind::kFile) throw FileError("create", path, EISDIR);
    if (entry) {
      used_ -= entry->content.size();
      entry->content.clear();
    } else {
      entry = std::make_shared<Node>();
      parent->pending.push_back({{name, entry}});
    }
    return std::make_unique<OpenForWriting>(*this, entry, path);
  }

  std::unique_ptr<ReadableFile> open(const Path& path) override {
    std::lock_guard lock(mutex_);
    return std::make_unique<OpenForReading>(*this, file_at(path, "open"), path);
  }

  std::optional<FileKind> kind(const Path& path) override {
    std::lock_guard lock(mutex_);
    const auto node = find(path, /*follow_last=*/false);
    if (!node) return std::nullopt;
    return node->kind;
  }

  uint64_t size(const Path& path) override {
    std::lock_guard lock(mutex_);
    const auto node = find(path, /*follow_last=*/true);
    if (!node) throw FileError("look at", path, ENOENT);
    return node->content.size();
  }

  std::vector<std::string> list(const Path& path) override {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names;
    for (const auto& entry : directory_at(path, "list")->entries) names.push_back(entry.first);
    return names;
  }

  std::string read_link(const Path& path) override {
    std::lock_guard lock(mutex_);
    const auto node = find(path, /*follow_last=*/false);
    if (!node) throw FileError("read the link", path, ENOENT);
    if (node->kind != FileKind::kLink) throw FileError("read the link", path, EINVAL);
    return node->content;
  }

  uint64_t free_space(const Path&) override {
    std::lock_guard lock(mutex_);
    return pretended_.value_or(capacity_ - used_);
  }

  void rename(const Path& from, const Path& to) override {
    std::lock_guard lock(mutex_);
    auto [from_parent, from_name] = locate(from, "rename", false);
    auto [to_parent, to_name] = locate(to, "rename", false);
    const auto node = get(*from_parent, from_name);
    if (!node) throw FileError("rename", from, ENOENT);
    if (const auto target = get(*to_parent, to_name)) {
      const bool is_directory = node->kind == FileKind::kDirectory;
      if (is_directory && target->kind != FileKind::kDirectory) throw FileError("rename", from, ENOTDIR);
      if (!is_directory && target->kind == FileKind::kDirectory) throw FileError("rename", from, EISDIR);
      if (!target->entries.empty()) throw FileError("rename", from, ENOTEMPTY);
      used_ -= target->content.size();
    }
    from_parent->entries.erase(from_name);
    to_parent->entries[to_name] = node;
    if (from_parent == to_parent) {
      from_parent->pending.push_back({{from_name, nullptr}, {to_name, node}});
    } else {
      from_parent->pending.push_back({{from_name, nullptr}});
      to_parent->pending.push_back({{to_name, node}});
    }
  }

  void remove_file(const Path& path) override {
    std::lock_guard lock(mutex_);
    auto [parent, name] = locate(path, "remove", false);
    const auto node = get(*parent, name);
    if (!node) throw FileError("remove", path, ENOENT);
    if (node->kind == FileKind::kDirectory) throw FileError("remove", path, EISDIR);
    used_ -= node->content.size();
    parent->entries.erase(name);
    parent->pending.push_back({{name, nullptr}});
  }

  void remove_directory(const Path& path) override {
    std::lock_guard lock(mutex_);
    auto [parent, name] = locate(path, "remove", false);
    const auto node = get(*parent, name);
    if (!node) throw FileError("remove", path, ENOENT);
    if (node->kind != FileKind::kDirectory) throw FileError("remove", path, ENOTDIR);
    if (!node->entries.empty()) throw FileError("remove", path, ENOTEMPTY);
    parent->entries.erase(name);
    parent->pending.push_back({{name, nullptr}});
  }

  void make_directory(const Path& path) override { add(path, FileKind::kDirectory, ""); }
  void make_link(const std::string& target, const Path& path) override { add(path, FileKind::kLink, target); }

  void sync_directory(const Path& path) override {
    std::lock_guard lock(mutex_);
    const auto directory = directory_at(path, "sync");
    directory->durable_entries = directory->entries;
    directory->pending.clear();
  }

  std::unique_ptr<FileLock> try_lock(const Path& path) override {
    if (!kind(path)) create(path);
    std::lock_guard lock(mutex_);
    const auto name = path.lexically_normal().string();
    if (!locked_.insert(name).second) return nullptr;
    return std::make_unique<Held>(*this, name);
  }

 private:
  struct Node;
  using NodePtr = std::shared_ptr<Node>;
  using Change = std::vector<std::pair<std::string, NodePtr>>;  // names that change together; null: gone
  struct Node {
    FileKind kind = FileKind::kFile;
    std::string content, durable_content;              // of a file; the target of a link
    std::map<std::string, NodePtr> entries, durable_entries;  // of a directory
    std::vector<Change> pending;                       // since its last sync_directory
  };

  class OpenForWriting : public WritableFile {
   public:
    OpenForWriting(MemoryFiles& files, NodePtr node, Path path)
        : files_(files), node_(std::move(node)), path_(std::move(path)) {}
    void append(const void* data, size_t size) override {
      std::lock_guard lock(files_.mutex_);
      const size_t fits = std::min<uint64_t>(size, files_.capacity_ - files_.used_);
      node_->content.append(static_cast<const char*>(data), fits);
      files_.used_ += fits;
      if (fits < size) throw FileError("write", path_, ENOSPC);
    }
    void sync() override {
      std::lock_guard lock(files_.mutex_);
      node_->durable_content = node_->content;
    }
    void close() override {}

   private:
    MemoryFiles& files_;
    NodePtr node_;
    Path path_;
  };

  class OpenForReading : public ReadableFile {
   public:
    OpenForReading(MemoryFiles& files, NodePtr node, Path path)
        : files_(files), node_(std::move(node)), path_(std::move(path)), size_(node_->content.size()) {}
    uint64_t size() const override { return size_; }
    void read(uint64_t offset, void* data, size_t size) const override {
      std::lock_guard lock(files_.mutex_);
      if (offset + size > node_->content.size()) throw FileError("read past the end of", path_, ENODATA);
      std::copy_n(node_->content.data() + offset, size, static_cast<char*>(data));
    }

   private:
    MemoryFiles& files_;
    NodePtr node_;
    Path path_;
    uint64_t size_;
  };

  class Held : public FileLock {
   public:
    Held(MemoryFiles& files, std::string name) : files_(files), name_(std::move(name)) {}
    ~Held() override {
      std::lock_guard lock(files_.mutex_);
      files_.locked_.erase(name_);
    }

   private:
    MemoryFiles& files_;
    std::string name_;
  };

  static NodePtr get(const Node& directory, const std::string& name) {
    const auto entry = directory.entries.find(name);
    return entry == directory.entries.end() ? nullptr : entry->second;
  }

  /// Null: there is no such thing. Links in the middle are always followed. Paths have no "." and no "..".
  NodePtr find(const Path& path, bool follow_last, int depth = 0) const {
    const std::string& text = path.native();
    NodePtr node = root_;
    for (size_t begin = 0; begin < text.size();) {
      size_t end = std::min(text.find('/', begin), text.size());
      if (end > begin) {
        if (node->kind != FileKind::kDirectory) return nullptr;
        NodePtr next = get(*node, text.substr(begin, end - begin));
        if (next && next->kind == FileKind::kLink && (follow_last || end < text.size()))
          next = depth < 8 ? find(Path(text.substr(0, begin)) / next->content, true, depth + 1) : nullptr;
        if (!next) return nullptr;
        node = next;
      }
      begin = end + 1;
    }
    return node;
  }

  NodePtr directory_at(const Path& path, const char* action) const {
    const auto node = find(path, true);
    if (!node) throw FileError(action, path, ENOENT);
    if (node->kind != FileKind::kDirectory) throw FileError(action, path, ENOTDIR);
    return node;
  }

  NodePtr file_at(const Path& path, const char* action) const {
    const auto node = find(path, true);
    if (!node) throw FileError(action, path, ENOENT);
    if (node->kind == FileKind::kDirectory) throw FileError(action, path, EISDIR);
    return node;
  }

  /// The directory that holds (or may come to hold) the name at the end of a path.
  std::pair<NodePtr, std::string> locate(Path path, const char* action, bool follow_last) const {
    const auto node = follow_last ? find(path, false) : nullptr;
    if (node && node->kind == FileKind::kLink) path = path.parent_path() / node->content;
    return {directory_at(path.parent_path(), action), path.filename().string()};
  }

  void add(const Path& path, FileKind kind, const std::string& target) {
    std::lock_guard lock(mutex_);
    auto [parent, name] = locate(path, "make", false);
    if (const auto there = get(*parent, name)) {
      if (kind == FileKind::kDirectory && there->kind == FileKind::kDirectory) return;
      throw FileError("make", path, EEXIST);
    }
    auto node = std::make_shared<Node>();
    node->kind = kind;
    node->content = node->durable_content = target;
    parent->entries[name] = node;
    parent->pending.push_back({{name, node}});
  }

  static void settle(Node& node, Crash crash, std::mt19937& random) {
    if (node.kind == FileKind::kFile && crash != Crash::kKeepsAll && node.content != node.durable_content)
      node.content = crash == Crash::kTears ? torn(node, random) : node.durable_content;
    node.durable_content = node.content;
    if (node.kind != FileKind::kDirectory) return;
    if (crash != Crash::kKeepsAll) {
      node.entries = node.durable_entries;
      for (const auto& change : node.pending) {
        if (crash == Crash::kLosesUnsynced || random() % 2) continue;
        for (const auto& [name, target] : change) {
          if (target) {
            node.entries[name] = target;
          } else {
            node.entries.erase(name);
          }
        }
      }
    }
    node.durable_entries = node.entries;
    node.pending.clear();
    for (auto& entry : node.entries) settle(*entry.second, crash, random);
  }

  static uint64_t bytes_below(const Node& node) {
    uint64_t bytes = node.kind == FileKind::kFile ? node.content.size() : 0;
    for (const auto& entry : node.entries) bytes += bytes_below(*entry.second);
    return bytes;
  }

  static std::string torn(const Node& node, std::mt19937& random) {
    if (random() % 4 == 0) return node.durable_content;
    std::string content = node.content.substr(0, random() % (node.content.size() + 1));
    if (random() % 2) content.resize(node.content.size(), '\0');  // the length is there, the bytes are not
    if (!content.empty() && random() % 2) content[random() % content.size()] ^= 0x40;
    return content;
  }

  std::mutex mutex_;
  NodePtr root_ = std::make_shared<Node>();
  std::set<std::string> locked_;
  uint64_t capacity_ = uint64_t{1} << 40, used_ = 0;
  std::optional<uint64_t> pretended_;
};

}  // namespace triga::test
