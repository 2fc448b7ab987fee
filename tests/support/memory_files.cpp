#include "tests/support/memory_files.h"

#include <algorithm>
#include <cerrno>

namespace triga::test {

class MemoryFiles::OpenForWriting : public WritableFile {
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

class MemoryFiles::OpenForReading : public ReadableFile {
 public:
  OpenForReading(MemoryFiles& files, NodePtr node, Path path)
      : files_(files),
        node_(std::move(node)),
        path_(std::move(path)),
        size_(node_->content.size()) {}

  uint64_t size() const override { return size_; }
  void read(uint64_t offset, void* data, size_t size) const override {
    std::lock_guard lock(files_.mutex_);
    if (offset + size > node_->content.size())
      throw FileError("read past the end of", path_, ENODATA);
    std::copy_n(node_->content.data() + offset, size, static_cast<char*>(data));
  }

 private:
  MemoryFiles& files_;
  NodePtr node_;
  Path path_;
  uint64_t size_;
};

class MemoryFiles::Held : public FileLock {
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

MemoryFiles::MemoryFiles() {
  root_->kind = FileKind::kDirectory;
}

MemoryFiles::MemoryFiles(const MemoryFiles& other)
    : FileSystem(), root_(durable_copy(*other.root_)), used_(bytes_below(*root_)) {}

MemoryFiles::NodePtr MemoryFiles::durable_copy(const Node& node) {
  auto copy = std::make_shared<Node>();
  copy->kind = node.kind;
  copy->content = copy->durable_content = node.durable_content;
  for (const auto& [name, entry] : node.durable_entries) copy->entries[name] = durable_copy(*entry);
  copy->durable_entries = copy->entries;
  return copy;
}

// --- what tests do to it ---

void MemoryFiles::crash(Crash crash, unsigned seed) {
  std::lock_guard lock(mutex_);
  std::mt19937 random(seed);
  settle(*root_, crash, random);
  locked_.clear();
  used_ = bytes_below(*root_);
}

void MemoryFiles::settle(Node& node, Crash crash, std::mt19937& random) {
  if (node.kind == FileKind::kFile && crash != Crash::kKeepsAll &&
      node.content != node.durable_content)
    node.content = crash == Crash::kTears ? torn(node, random) : node.durable_content;
  node.durable_content = node.content;
  if (node.kind != FileKind::kDirectory) return;
  settle_entries(node, crash, random);
  for (auto& entry : node.entries) settle(*entry.second, crash, random);
}

void MemoryFiles::settle_entries(Node& node, Crash crash, std::mt19937& random) {
  if (crash != Crash::kKeepsAll) node.entries = node.durable_entries;
  for (const auto& change : node.pending) {
    if (crash != Crash::kTears || random() % 2) continue;
    for (const auto& [name, target] : change) {
      if (target) {
        node.entries[name] = target;
      } else {
        node.entries.erase(name);
      }
    }
  }
  node.durable_entries = node.entries;
  node.pending.clear();
}

std::string MemoryFiles::torn(const Node& node, std::mt19937& random) {
  if (random() % 4 == 0) return node.durable_content;
  std::string content = node.content.substr(0, random() % (node.content.size() + 1));
  if (random() % 2)
    content.resize(node.content.size(), '\0');  // the length is there, the bytes are not
  if (!content.empty() && random() % 2) content[random() % content.size()] ^= 0x40;
  return content;
}

uint64_t MemoryFiles::bytes_below(const Node& node) {
  uint64_t bytes = node.kind == FileKind::kFile ? node.content.size() : 0;
  for (const auto& entry : node.entries) bytes += bytes_below(*entry.second);
  return bytes;
}

std::string& MemoryFiles::content(const Path& path) {
  std::lock_guard lock(mutex_);
  return existing(path, "damage", true)->content;
}

// --- FileSystem ---

std::unique_ptr<WritableFile> MemoryFiles::create(const Path& path) {
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

std::unique_ptr<ReadableFile> MemoryFiles::open(const Path& path) {
  std::lock_guard lock(mutex_);
  const auto node = existing(path, "open", true);
  if (node->kind == FileKind::kDirectory) throw FileError("open", path, EISDIR);
  return std::make_unique<OpenForReading>(*this, node, path);
}

std::optional<FileKind> MemoryFiles::kind(const Path& path) {
  std::lock_guard lock(mutex_);
  const auto node = find(path, /*follow_last=*/false);
  if (!node) return std::nullopt;
  return node->kind;
}

uint64_t MemoryFiles::size(const Path& path) {
  std::lock_guard lock(mutex_);
  return existing(path, "look at", true)->content.size();
}

std::vector<std::string> MemoryFiles::list(const Path& path) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& entry : directory_at(path, "list")->entries) names.push_back(entry.first);
  return names;
}

std::string MemoryFiles::read_link(const Path& path) {
  std::lock_guard lock(mutex_);
  const auto node = existing(path, "read the link", false);
  if (node->kind != FileKind::kLink) throw FileError("read the link", path, EINVAL);
  return node->content;
}

uint64_t MemoryFiles::free_space(const Path&) {
  std::lock_guard lock(mutex_);
  return pretended_.value_or(capacity_ - used_);
}

void MemoryFiles::rename(const Path& from, const Path& to) {
  std::lock_guard lock(mutex_);
  const auto node = existing(from, "rename", false);
  auto [from_parent, from_name] = locate(from, "rename", false);
  auto [to_parent, to_name] = locate(to, "rename", false);
  if (const auto target = get(*to_parent, to_name)) {
    const bool is_directory = node->kind == FileKind::kDirectory;
    if (is_directory && target->kind != FileKind::kDirectory)
      throw FileError("rename", from, ENOTDIR);
    if (!is_directory && target->kind == FileKind::kDirectory)
      throw FileError("rename", from, EISDIR);
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

void MemoryFiles::remove(const Path& path, bool is_directory) {
  std::lock_guard lock(mutex_);
  const auto node = existing(path, "remove", false);
  if (is_directory != (node->kind == FileKind::kDirectory))
    throw FileError("remove", path, is_directory ? ENOTDIR : EISDIR);
  if (!node->entries.empty()) throw FileError("remove", path, ENOTEMPTY);
  auto [parent, name] = locate(path, "remove", false);
  used_ -= node->kind == FileKind::kFile ? node->content.size() : 0;
  parent->entries.erase(name);
  parent->pending.push_back({{name, nullptr}});
}

void MemoryFiles::remove_file(const Path& path) {
  remove(path, false);
}
void MemoryFiles::remove_directory(const Path& path) {
  remove(path, true);
}
void MemoryFiles::make_directory(const Path& path) {
  add(path, FileKind::kDirectory, "");
}
void MemoryFiles::make_link(const std::string& target, const Path& path) {
  add(path, FileKind::kLink, target);
}

void MemoryFiles::add(const Path& path, FileKind kind, const std::string& target) {
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

void MemoryFiles::sync_directory(const Path& path) {
  std::lock_guard lock(mutex_);
  const auto directory = directory_at(path, "sync");
  directory->durable_entries = directory->entries;
  directory->pending.clear();
}

std::unique_ptr<FileLock> MemoryFiles::try_lock(const Path& path) {
  if (!kind(path)) create(path);
  std::lock_guard lock(mutex_);
  if (!locked_.insert(path.string()).second) return nullptr;
  return std::make_unique<Held>(*this, path.string());
}

// --- paths ---

MemoryFiles::NodePtr MemoryFiles::get(const Node& directory, const std::string& name) {
  const auto entry = directory.entries.find(name);
  return entry == directory.entries.end() ? nullptr : entry->second;
}

MemoryFiles::NodePtr MemoryFiles::find(const Path& path, bool follow_last, int depth) const {
  const std::string& text = path.native();
  NodePtr node = root_;
  for (size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('/', begin), text.size());
    if (end == begin) continue;
    if (node->kind != FileKind::kDirectory) return nullptr;
    NodePtr next = get(*node, text.substr(begin, end - begin));
    if (next && next->kind == FileKind::kLink && (follow_last || end < text.size()))
      next =
          depth < 8 ? find(Path(text.substr(0, begin)) / next->content, true, depth + 1) : nullptr;
    if (!next) return nullptr;
    node = next;
  }
  return node;
}

MemoryFiles::NodePtr MemoryFiles::existing(const Path& path, const char* action,
                                           bool follow_last) const {
  auto node = find(path, follow_last);
  if (!node) throw FileError(action, path, ENOENT);
  return node;
}

MemoryFiles::NodePtr MemoryFiles::directory_at(const Path& path, const char* action) const {
  auto node = existing(path, action, true);
  if (node->kind != FileKind::kDirectory) throw FileError(action, path, ENOTDIR);
  return node;
}

std::pair<MemoryFiles::NodePtr, std::string> MemoryFiles::locate(Path path, const char* action,
                                                                 bool follow_last) const {
  const auto node = follow_last ? find(path, false) : nullptr;
  if (node && node->kind == FileKind::kLink) path = path.parent_path() / node->content;
  return {directory_at(path.parent_path(), action), path.filename().string()};
}

}  // namespace triga::test
