// Token files and the cache that they lie in.
#include "data/token_file.h"

#include <gmock/gmock.h>

#include <atomic>
#include <thread>

#include "data/bytes_tokenizer.h"
#include "data/cache_entry.h"
#include "tests/support/faulty_files.h"
#include "tests/support/memory_files.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"
#include "triga/dataset.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::Crash;
using ::triga::test::Fault;
using ::triga::test::FaultyFiles;
using ::triga::test::MemoryFiles;
using ::triga::test::message_of;
using ::triga::test::SimulatedCrash;
using ::triga::test::TemporaryFolder;

std::shared_ptr<std::string> file_of(const std::vector<std::vector<int32_t>>& documents,
                                     int64_t vocab_size) {
  auto bytes = std::make_shared<std::string>();
  TokenFileWriter writer(write_to_memory(bytes), vocab_size);
  for (const auto& tokens : documents) writer.add(tokens);
  writer.finish();
  return bytes;
}

std::vector<int64_t> tokens_of(const TokenFile& file, int64_t begin, int64_t end) {
  const at::Tensor tokens = file.slice(begin, end);
  return {tokens.const_data_ptr<int64_t>(), tokens.const_data_ptr<int64_t>() + tokens.numel()};
}

TEST(TokenFile, KeepsTokensOfEveryWidth) {
  for (const int64_t vocab_size : {256, 65536, 1 << 20}) {
    const auto last = static_cast<int32_t>(vocab_size - 1);
    const TokenFile file(read_from_memory(file_of({{0, last}, {}, {7}}, vocab_size)), "memory");
    EXPECT_THAT(file.ends(), ElementsAre(2, 2, 3));
    EXPECT_THAT(tokens_of(file, 0, 3), ElementsAre(0, last, 7)) << vocab_size;
    EXPECT_THAT(tokens_of(file, 1, 1), ElementsAre());
  }
}

TEST(TokenFile, IsLargerThanItsWritersBuffer) {
  std::vector<int32_t> tokens(3 << 20);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i % 50000);
  const TokenFile file(read_from_memory(file_of({tokens, tokens}, 50000)), "memory");
  ASSERT_EQ(file.num_tokens(), 6 << 20);
  EXPECT_THAT(tokens_of(file, (3 << 20) - 1, (3 << 20) + 2), ElementsAre(tokens.back(), 0, 1));
}

TEST(TokenFile, FingerprintTellsTokensAndDocumentsApart) {
  const auto fingerprint = [](const std::vector<std::vector<int32_t>>& documents) {
    return TokenFile(read_from_memory(file_of(documents, 100)), "memory").fingerprint();
  };
  EXPECT_EQ(fingerprint({{1, 2}, {3}}), fingerprint({{1, 2}, {3}}));
  EXPECT_NE(fingerprint({{1, 2}, {3}}), fingerprint({{1, 2}, {4}}));
  EXPECT_NE(fingerprint({{1, 2}, {3}}), fingerprint({{1}, {2, 3}}));
}

TEST(TokenFile, RefusesADamagedOne) {
  const std::string whole = *file_of({{1, 2, 3}, {4}}, 300);
  const auto refusal = [](std::string bytes) {
    return message_of<DataError>([&] {
      TokenFile(read_from_memory(std::make_shared<std::string>(std::move(bytes))), "cache/x");
    });
  };
  EXPECT_THAT(refusal(""), HasSubstr("cache/x: not a token file"));
  EXPECT_THAT(refusal(whole.substr(1)), HasSubstr("remove it"));
  EXPECT_THAT(refusal(whole.substr(0, whole.size() - 1)), HasSubstr("remove it"));
  for (size_t i = whole.size() - 64; i < whole.size() - 32; ++i) {  // every byte of its numbers
    std::string changed = whole;
    changed[i] = static_cast<char>(changed[i] ^ 0x80);
    EXPECT_THAT(refusal(changed), HasSubstr("remove it")) << i;
  }
  std::string unsorted = whole;
  unsorted[8] = 9;  // the end of the first document: beyond that of the second
  EXPECT_THAT(refusal(unsorted), HasSubstr("remove it"));
}

TEST(TokenFile, SaysThatTheDiskFails) {
  MemoryFiles disk;
  {
    TokenFileWriter writer(disk.create("/tokens"), 300);
    writer.add({1, 2, 3});
    writer.finish();
  }
  FaultyFiles files(disk, {Fault::Kind::kErrorFromHereOn, 5, EIO});
  std::string message;
  try {
    const TokenFile file(files.open("/tokens"), "/tokens");
    for (int i = 0; i < 5; ++i) file.slice(0, 3);
  } catch (const DataError& error) {
    message = error.what();
  }
  EXPECT_THAT(message, HasSubstr("/tokens"));
}

TEST(CachedFile, IsMadeOnceByManyAtOnce) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "a" / "b" / "file";
  std::atomic<int> num_made = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      make_cached_file(posix_files(), path, "a file", [&](const Path& temporary) {
        ++num_made;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        atomic_write(posix_files(), temporary, "content");
      });
      EXPECT_EQ(read_text(posix_files(), path), "content");
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_made, 1);
}

TEST(CachedFile, LeavesNothingWhenItCannotBeMade) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "file";
  EXPECT_THROW(make_cached_file(posix_files(), path, "a file",
                                [&](const Path& temporary) {
                                  atomic_write(posix_files(), temporary, "half");
                                  throw DataError("no more");
                                }),
               DataError);
  EXPECT_FALSE(exists(posix_files(), path));
  EXPECT_FALSE(exists(posix_files(), folder.path() / "file.part"));
}

/// Whatever operation is the last one before the power goes: at the next start the file is whole, or
/// not there.
TEST(CachedFile, IsWholeOrNotThereAfterACrash) {
  for (int64_t operation = 1;; ++operation) {
    MemoryFiles disk;
    FaultyFiles files(disk, {Fault::Kind::kCrash, operation, EIO});
    const auto make = [](FileSystem& on) {
      make_cached_file(on, "/cache/tokens/x", "tokens", [&](const Path& temporary) {
        TokenFileWriter writer(on.create(temporary), 300);
        writer.add({1, 2, 3});
        writer.finish();
      });
    };
    bool is_done = false;
    try {
      make(files);
      is_done = true;
    } catch (const SimulatedCrash&) {
    }
    disk.crash(Crash::kTears, static_cast<unsigned>(operation));
    make(disk);
    EXPECT_EQ(TokenFile(disk.open("/cache/tokens/x"), "x").num_tokens(), 3) << operation;
    if (is_done) break;
    ASSERT_LT(operation, 100);
  }
}

class OneDocument final : public DocumentSource {
 public:
  int64_t size() const override { return 1; }
  std::string_view document(int64_t) const override { return ++num_readings_, "text"; }
  std::string fingerprint() const override { return "one"; }
  mutable int num_readings_ = 0;
};

TEST(TokenDataset, ReadsItsDocumentsOnce) {
  const TemporaryFolder folder;
  const BytesTokenizer tokenizer;
  const auto num_readings = [&](const std::string& cache_dir) {
    auto documents = std::make_unique<OneDocument>();
    const OneDocument& read = *documents;
    DatasetContext context;
    context.split = "train";
    context.tokenizer = &tokenizer;
    context.sequence_length = 2;
    context.cache_dir = cache_dir;
    // The documents live until the call returns, no longer: counted by what the tokenizer is given.
    int count = 0;
    context.report_progress = [&](std::string_view, int64_t, int64_t) {
      count = read.num_readings_;
    };
    EXPECT_EQ(make_token_dataset(std::move(documents), {.pack = true}, context)->size(), 2);
    return count;
  };
  EXPECT_EQ(num_readings(folder / "cache"), 1);
  EXPECT_EQ(num_readings(folder / "cache"), 0);
  folder.write("file", "not a folder");
  EXPECT_EQ(num_readings(folder / "file"), 1);
  EXPECT_EQ(num_readings(""), 1);
}

}  // namespace
}  // namespace triga
