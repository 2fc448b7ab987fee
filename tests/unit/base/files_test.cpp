// One suite for every FileSystem, so that what tests see in memory is what a disk does; then what
// only a disk has.
#include "base/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include "base/direct_file.h"
#include "tests/support/faulty_files.h"
#include "tests/support/memory_files.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::Crash;
using test::MemoryFiles;
using test::TemporaryFolder;
using testing::ElementsAre;
using testing::HasSubstr;

struct OnDisk {
  TemporaryFolder folder;
  FileSystem& files() { return posix_files(); }
  Path root() { return folder.path(); }
};
struct InMemory {
  MemoryFiles memory;
  FileSystem& files() { return memory; }
  Path root() { return "/"; }
};

template <class Place>
class FilesTest : public testing::Test {
 protected:
  FileSystem& files() { return place_.files(); }
  Path operator/(const std::string& name) { return place_.root() / name; }
  void put(const std::string& name, const std::string& text) {
    auto file = files().create(place_.root() / name);
    file->append(text.data(), text.size());
    file->sync();
    file->close();
  }
  std::string get(const std::string& name) { return read_text(files(), place_.root() / name); }
  int code_of(const std::function<void()>& action) {
    try {
      action();
    } catch (const FileError& error) {
      return error.code();
    }
    return 0;
  }
  Place place_;
};

using Places = testing::Types<OnDisk, InMemory>;
TYPED_TEST_SUITE(FilesTest, Places);

TYPED_TEST(FilesTest, WritesReadsAndReplacesAFile) {
  this->put("a", "first, longer");
  this->put("a", "second");
  EXPECT_EQ(this->get("a"), "second");
  EXPECT_EQ(this->files().size(*this / "a"), 6u);
  auto file = this->files().open(*this / "a");
  char middle[3];
  file->read(2, middle, 3);
  EXPECT_EQ(std::string(middle, 3), "con");
  EXPECT_EQ(this->code_of([&] { file->read(4, middle, 3); }), ENODATA);
}

// Pieces that lie at a page's beginning or not, and end there or not, in any order.
TYPED_TEST(FilesTest, LargeFilesHoldWhatWasAppended) {
  std::vector<char> source(3 << 20);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<char>(i * 2654435761u >> 13);
  auto* const page = reinterpret_cast<char*>(
      (reinterpret_cast<uintptr_t>(source.data()) / kDirectAlignment + 1) * kDirectAlignment);
  const std::vector<std::vector<std::pair<size_t, size_t>>> files = {
      {},  // (from, size)
      {{0, 5}},
      {{0, kDirectAlignment}},
      {{0, 2 << 20}, {0, 2 * kDirectAlignment}},
      {{0, (2 << 20) + 1}, {0, kDirectAlignment}, {3, 1 << 20}},
      {{8, 8}, {16, kDirectAlignment - 8}, {0, 1 << 20}, {4, 77}, {0, 1 << 20}},
      {{1, 2 << 20}, {0, 1 << 20}},
  };
  for (const bool syncs : {false, true})
    for (const auto& pieces : files) {
      std::string expected;
      auto file = this->files().create_large(*this / "large");
      for (const auto& [from, size] : pieces) {
        file->append(page + from, size);
        expected.append(page + from, size);
        if (syncs) file->sync();
      }
      file->sync();
      file->close();
      EXPECT_TRUE(this->get("large") == expected) << expected.size() << " bytes";
    }
}

TYPED_TEST(FilesTest, KnowsKinds) {
  this->put("file", "x");
  this->files().make_directory(*this / "folder");
  this->files().make_directory(*this / "folder");  // again: no error
  this->files().make_link("nowhere", *this / "dangling");
  EXPECT_EQ(this->files().kind(*this / "file"), FileKind::kFile);
  EXPECT_EQ(this->files().kind(*this / "folder"), FileKind::kDirectory);
  EXPECT_EQ(this->files().kind(*this / "dangling"), FileKind::kLink);
  EXPECT_EQ(this->files().kind(*this / "absent"), std::nullopt);
  EXPECT_EQ(this->files().kind(*this / "file/below"), std::nullopt);
  EXPECT_EQ(this->files().read_link(*this / "dangling"), "nowhere");
}

TYPED_TEST(FilesTest, FollowsLinks) {
  this->files().make_directory(*this / "folder");
  this->put("folder/a", "text");
  this->files().make_link("folder", *this / "link");
  EXPECT_EQ(this->get("link/a"), "text");
  EXPECT_THAT(this->files().list(*this / "link"), ElementsAre("a"));
  replace_link(this->files(), "other", *this / "link");
  EXPECT_EQ(this->files().read_link(*this / "link"), "other");
  EXPECT_THAT(this->files().list(*this / ""), ElementsAre("folder", "link"));
}

TYPED_TEST(FilesTest, RenamesOverFilesAndEmptyDirectoriesOnly) {
  this->put("a", "a");
  this->put("b", "b");
  this->files().rename(*this / "a", *this / "b");
  EXPECT_EQ(this->get("b"), "a");
  for (const char* name : {"full", "empty", "moved"}) this->files().make_directory(*this / name);
  this->put("full/x", "x");
  EXPECT_EQ(this->code_of([&] { this->files().rename(*this / "moved", *this / "full"); }),
            ENOTEMPTY);
  EXPECT_EQ(this->code_of([&] { this->files().rename(*this / "moved", *this / "b"); }), ENOTDIR);
  EXPECT_EQ(this->code_of([&] { this->files().rename(*this / "b", *this / "full"); }), EISDIR);
  EXPECT_EQ(this->code_of([&] { this->files().rename(*this / "absent", *this / "b"); }), ENOENT);
  this->files().rename(*this / "full", *this / "empty");
  EXPECT_EQ(this->get("empty/x"), "x");
}

TYPED_TEST(FilesTest, SaysWhatFailed) {
  this->put("file", "x");
  this->files().make_directory(*this / "folder");
  this->put("folder/x", "x");
  auto& files = this->files();
  EXPECT_EQ(this->code_of([&] { files.open(*this / "absent"); }), ENOENT);
  EXPECT_EQ(this->code_of([&] { files.open(*this / "folder"); }), EISDIR);
  EXPECT_EQ(this->code_of([&] { files.create(*this / "absent/x"); }), ENOENT);
  EXPECT_EQ(this->code_of([&] { files.create(*this / "folder"); }), EISDIR);
  EXPECT_EQ(this->code_of([&] { files.list(*this / "file"); }), ENOTDIR);
  EXPECT_EQ(this->code_of([&] { files.list(*this / "absent"); }), ENOENT);
  EXPECT_EQ(this->code_of([&] { files.make_directory(*this / "file"); }), EEXIST);
  EXPECT_EQ(this->code_of([&] { files.make_directory(*this / "absent/x"); }), ENOENT);
  EXPECT_EQ(this->code_of([&] { files.make_link("x", *this / "file"); }), EEXIST);
  EXPECT_EQ(this->code_of([&] { files.read_link(*this / "file"); }), EINVAL);
  EXPECT_EQ(this->code_of([&] { files.remove_file(*this / "folder"); }), EISDIR);
  EXPECT_EQ(this->code_of([&] { files.remove_file(*this / "absent"); }), ENOENT);
  EXPECT_EQ(this->code_of([&] { files.remove_directory(*this / "folder"); }), ENOTEMPTY);
  EXPECT_EQ(this->code_of([&] { files.remove_directory(*this / "file"); }), ENOTDIR);
  EXPECT_EQ(this->code_of([&] { files.size(*this / "absent"); }), ENOENT);
  EXPECT_EQ(this->code_of([&] { files.sync_directory(*this / "absent"); }), ENOENT);
  try {
    files.open(*this / "absent");
  } catch (const FileError& error) {
    EXPECT_THAT(error.what(), HasSubstr("cannot open " + (*this / "absent").string() +
                                        ": No such file or directory"));
    EXPECT_TRUE(error.is_missing());
    EXPECT_FALSE(error.is_full());
  }
}

TYPED_TEST(FilesTest, MakesAndRemovesTrees) {
  make_directories(this->files(), *this / "a/b/c");
  this->put("a/b/file", "x");
  this->files().make_link("../..", *this / "a/b/up");  // must not be followed
  this->put("stays", "x");
  remove_all(this->files(), *this / "a");
  remove_all(this->files(), *this / "a");
  EXPECT_THAT(this->files().list(*this / ""), ElementsAre("stays"));
}

TYPED_TEST(FilesTest, LocksOnce) {
  auto lock = this->files().try_lock(*this / "lock");
  ASSERT_NE(lock, nullptr);
  EXPECT_EQ(this->files().try_lock(*this / "lock"), nullptr);
  lock.reset();
  EXPECT_NE(this->files().try_lock(*this / "lock"), nullptr);
}

TYPED_TEST(FilesTest, AnswersWithFreeSpace) {
  EXPECT_GT(this->files().free_space(*this / ""), 0u);
}

// At every operation, with an error and with a crash: the old text or the new one.
TEST(AtomicWrite, LeavesTheOldOrTheNewText) {
  for (const auto crash : {Crash::kKeepsAll, Crash::kLosesUnsynced, Crash::kTears}) {
    int64_t num_old = 0;
    for (int64_t operation = 1;; ++operation) {
      MemoryFiles memory;
      atomic_write(memory, "/status.json", "old");
      test::FaultyFiles dying(memory, {test::Fault::Kind::kCrash, operation});
      bool is_done = false;
      try {
        atomic_write(dying, "/status.json", "new text");
        is_done = true;
      } catch (const test::SimulatedCrash&) {
      }
      memory.crash(crash, 7);
      const auto text = read_text(memory, "/status.json");
      ASSERT_THAT(text, testing::AnyOf("old", "new text")) << dying.log().back();
      num_old += text == "old";
      if (!is_done) continue;
      EXPECT_EQ(text, "new text");
      break;
    }
    EXPECT_GE(num_old, 4);
  }
}

TEST(AtomicWrite, LeavesNothingBehindWhenItFails) {
  for (int64_t operation = 1;; ++operation) {
    MemoryFiles memory;
    atomic_write(memory, "/status.json", "old");
    test::FaultyFiles failing(memory, {test::Fault::Kind::kError, operation, EIO});
    try {
      atomic_write(failing, "/status.json", "new");
    } catch (const FileError&) {
    }
    if (!failing.has_struck()) break;
    EXPECT_THAT(memory.list("/"), ElementsAre("status.json")) << failing.log()[operation - 1];
  }
}

/// Flags of the open file, as the system shows them; 0: it is not open.
int flags_of(const Path& path) {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (std::filesystem::read_symlink(entry.path(), gone) != path || gone) continue;
    std::ifstream info("/proc/self/fdinfo" / entry.path().filename());
    for (std::string key, value; info >> key >> value;)
      if (key == "flags:") return std::stoi(value, nullptr, 8);
  }
  return 0;
}

TEST(DirectFile, PassesByThePageCacheUpToTheEndInsideAPage) {
  const TemporaryFolder folder;
  const Path path = std::filesystem::canonical(folder.path()) / "large";
  const auto file = create_direct(path);
  struct statfs status;
  ASSERT_EQ(::statfs(folder.path().c_str(), &status), 0);
  ASSERT_EQ(file != nullptr, status.f_type == EXT4_SUPER_MAGIC || status.f_type == XFS_SUPER_MAGIC);
  if (!file) return;
  const std::unique_ptr<char, void (*)(void*)> pages(
      static_cast<char*>(std::aligned_alloc(kDirectAlignment, 1 << 20)), std::free);
  std::memset(pages.get(), 'x', 1 << 20);
  file->append(pages.get(), 1 << 20);
  file->append(pages.get() + 1, kDirectAlignment);
  file->sync();
  EXPECT_TRUE(flags_of(path) & O_DIRECT);
  EXPECT_EQ(std::filesystem::file_size(path), (1 << 20) + kDirectAlignment);
  file->append(pages.get(), kDirectAlignment + 1);
  file->sync();
  EXPECT_FALSE(flags_of(path) & O_DIRECT);
  EXPECT_NE(flags_of(path), 0);
  file->close();
  EXPECT_EQ(std::filesystem::file_size(path), (1 << 20) + 2 * kDirectAlignment + 1);
}

TEST(PosixFiles, ReportAFullDisk) {
  auto file = posix_files().create("/dev/full");
  try {
    file->append("x", 1);
    FAIL() << "written";
  } catch (const FileError& error) {
    EXPECT_TRUE(error.is_full());
    EXPECT_STREQ(error.what(), "cannot write /dev/full: No space left on device");
  }
}

// Signals interrupt every call, and the reader takes a few bytes at a time: all bytes arrive, once
// and in order.
TEST(PosixFiles, ContinueAfterSignalsAndShortWrites) {
  TemporaryFolder folder;
  const Path pipe = folder.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  struct sigaction action = {}, before = {};
  action.sa_handler = [](int) {};  // without SA_RESTART: calls return EINTR
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);

  std::string sent;
  for (int i = 0; i < 100000; ++i) sent += std::to_string(i);
  std::atomic<bool> is_done = false;
  std::thread writer([&] {
    auto file = posix_files().create(pipe);
    file->append(sent.data(), sent.size());
    file->close();
    is_done = true;
  });
  std::thread interrupter([&] {
    while (!is_done) {
      ::pthread_kill(writer.native_handle(), SIGUSR1);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  std::string received;
  {
    std::ifstream reader(pipe);
    char piece[4096];
    while (reader.read(piece, sizeof piece) || reader.gcount() > 0)
      received.append(piece, reader.gcount());
  }
  interrupter.join();
  writer.join();
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_EQ(received.size(), sent.size());
  EXPECT_TRUE(received == sent);
}

}  // namespace
}  // namespace triga
