// A FileSystem that passes everything on to another one, counts the operations, and at a chosen one
// fails or dies. So a test can say: do this again and again, and let each of its file operations in
// turn be the one that goes wrong.
#pragma once

#include <cerrno>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"

namespace triga::test {

/// Not a std::exception: code under test must not take a crash for an error that it can handle.
struct SimulatedCrash {};

struct Fault {
  enum class Kind { kNone, kError, kErrorFromHereOn, kCrash };
  Kind kind = Kind::kNone;
  int64_t operation = 0;  // the first is 1
  int code = EIO;
};

/// A write that goes wrong has written half of its bytes. After a crash no operation does anything.
class FaultyFiles : public FileSystem {
 public:
  explicit FaultyFiles(FileSystem& files, Fault fault = {}) : files_(files), fault_(fault) {}

  int64_t num_operations() const { return static_cast<int64_t>(log_.size()); }
  /// What each operation was: "rename step-00000010.tmp".
  const std::vector<std::string>& log() const { return log_; }
  bool has_struck() const { return has_struck_; }
  /// Called before each operation, in its thread: it may take its time.
  void before_each(std::function<void(const std::string& operation)> call) {
    before_each_ = std::move(call);
  }

  std::unique_ptr<WritableFile> create(const Path& path) override {
    count("create", path);
    return std::make_unique<Writing>(*this, files_.create(path), path);
  }
  std::unique_ptr<WritableFile> create_large(const Path& path) override {
    count("create large", path);
    return std::make_unique<Writing>(*this, files_.create_large(path), path);
  }
  std::unique_ptr<ReadableFile> open(const Path& path) override {
    count("open", path);
    return std::make_unique<Reading>(*this, files_.open(path), path);
  }
  std::optional<FileKind> kind(const Path& path) override {
    return count("look at", path), files_.kind(path);
  }
  uint64_t size(const Path& path) override { return count("size", path), files_.size(path); }
  std::vector<std::string> list(const Path& path) override {
    return count("list", path), files_.list(path);
  }
  std::string read_link(const Path& path) override {
    return count("read link", path), files_.read_link(path);
  }
  uint64_t free_space(const Path& path) override {
    return count("free space", path), files_.free_space(path);
  }
  void rename(const Path& from, const Path& to) override {
    count("rename", from), files_.rename(from, to);
  }
  void remove_file(const Path& path) override { count("remove", path), files_.remove_file(path); }
  void remove_directory(const Path& path) override {
    count("remove", path), files_.remove_directory(path);
  }
  void make_directory(const Path& path) override {
    count("make", path), files_.make_directory(path);
  }
  void make_link(const std::string& target, const Path& path) override {
    count("link", path), files_.make_link(target, path);
  }
  void sync_directory(const Path& path) override {
    count("sync", path), files_.sync_directory(path);
  }
  std::unique_ptr<FileLock> try_lock(const Path& path) override {
    return count("lock", path), files_.try_lock(path);
  }

 private:
  class Writing : public WritableFile {
   public:
    Writing(FaultyFiles& owner, std::unique_ptr<WritableFile> file, Path path)
        : owner_(owner), file_(std::move(file)), path_(std::move(path)) {}
    void append(const void* data, size_t size) override {
      if (owner_.strikes_next()) file_->append(data, size / 2);
      owner_.count("write", path_);
      file_->append(data, size);
    }
    void sync() override { owner_.count("sync", path_), file_->sync(); }
    void close() override { owner_.count("close", path_), file_->close(); }

   private:
    FaultyFiles& owner_;
    std::unique_ptr<WritableFile> file_;
    Path path_;
  };

  class Reading : public ReadableFile {
   public:
    Reading(FaultyFiles& owner, std::unique_ptr<ReadableFile> file, Path path)
        : owner_(owner), file_(std::move(file)), path_(std::move(path)) {}
    uint64_t size() const override { return file_->size(); }
    void read(uint64_t offset, void* data, size_t size) const override {
      owner_.count("read", path_), file_->read(offset, data, size);
    }

   private:
    FaultyFiles& owner_;
    std::unique_ptr<ReadableFile> file_;
    Path path_;
  };

  bool strikes_next() {
    std::lock_guard lock(mutex_);
    return !has_crashed_ && fault_.kind != Fault::Kind::kNone &&
           num_operations() + 1 == fault_.operation;
  }

  void count(const char* action, const Path& path) {
    if (before_each_) before_each_(std::string(action) + " " + path.filename().string());
    std::lock_guard lock(mutex_);
    if (has_crashed_) throw SimulatedCrash{};
    log_.push_back(std::string(action) + " " + path.filename().string());
    const bool strikes =
        num_operations() == fault_.operation ||
        (fault_.kind == Fault::Kind::kErrorFromHereOn && num_operations() > fault_.operation);
    if (!strikes || fault_.kind == Fault::Kind::kNone) return;
    has_struck_ = true;
    if (fault_.kind != Fault::Kind::kCrash) throw FileError(action, path, fault_.code);
    has_crashed_ = true;
    throw SimulatedCrash{};
  }

  FileSystem& files_;
  Fault fault_;
  std::function<void(const std::string&)> before_each_;
  std::mutex mutex_;
  std::vector<std::string> log_;
  bool has_struck_ = false, has_crashed_ = false;
};

}  // namespace triga::test
