// Damage any file of the newest checkpoint, in any way: it is refused in words, and the one before
// is used.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "checkpoint/inspect.h"
#include "checkpoint/layout.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "tests/support/memory_files.h"
#include "tests/support/small_snapshot.h"

namespace triga {
namespace {

using test::MemoryFiles;
using test::small_snapshot;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Path kCheckpoints = "/run/checkpoints";

// Two checkpoints, with shards and an index.
void save_two(MemoryFiles& files) {
  files.make_directory("/run");
  CheckpointWriter writer(files, kCheckpoints, {{}, /*max_shard_bytes=*/32});
  writer.save(small_snapshot(10));
  writer.save(small_snapshot(20));
}

void collect(FileSystem& files, const Path& path, std::vector<Path>& found) {
  if (files.kind(path) == FileKind::kDirectory) {
    for (const auto& name : files.list(path)) collect(files, path / name, found);
  } else {
    found.push_back(path);
  }
}

std::vector<Path> files_of_newest() {
  MemoryFiles files;
  save_two(files);
  std::vector<Path> found;
  collect(files, kCheckpoints / "step-00000020", found);
  return found;
}

struct Damage {
  std::string name;
  std::function<void(MemoryFiles&, const Path&)> inflict;
};

std::vector<Damage> damages() {
  std::vector<Damage> damages;
  const auto flip = [](auto place) {
    return [place](MemoryFiles& files, const Path& path) {
      auto& content = files.content(path);
      content[place(content.size())] ^= 1;
    };
  };
  damages.push_back({"flip the first byte", flip([](size_t) { return size_t{0}; })});
  for (int i = 1; i < 8; ++i)
    damages.push_back({"flip a byte inside", flip([i](size_t size) { return size * i / 8; })});
  damages.push_back({"flip the last byte", flip([](size_t size) { return size - 1; })});
  damages.push_back(
      {"cut one byte", [](auto& files, auto& path) { files.content(path).pop_back(); }});
  damages.push_back({"cut to half", [](auto& files, auto& path) {
                       files.content(path).resize(files.content(path).size() / 2);
                     }});
  damages.push_back({"empty it", [](auto& files, auto& path) { files.content(path).clear(); }});
  damages.push_back({"add a byte", [](auto& files, auto& path) { files.content(path) += ' '; }});
  damages.push_back({"delete it", [](auto& files, auto& path) { files.remove_file(path); }});
  damages.push_back({"put a folder there", [](auto& files, auto& path) {
                       files.remove_file(path);
                       files.make_directory(path);
                     }});
  return damages;
}

TEST(DamagedCheckpoint, IsRefusedInWordsAndTheOneBeforeIsUsed) {
  const auto paths = files_of_newest();
  EXPECT_GE(paths.size(), 9u);  // config, tokenizer, two shards and index, the same of the
                                // optimizer, state, resolved, manifest
  for (const auto& path : paths) {
    for (const auto& damage : damages()) {
      MemoryFiles files;
      save_two(files);
      damage.inflict(files, path);
      const auto search = find_checkpoint(files, "/run");
      ASSERT_EQ(search.directory, kCheckpoints / "step-00000010") << damage.name << ": " << path;
      ASSERT_EQ(search.passed_over.size(), 1u);
      EXPECT_THAT(search.passed_over[0], HasSubstr("step-00000020 is passed over: "))
          << damage.name;
      EXPECT_THAT(search.passed_over[0], HasSubstr(path.filename().string())) << damage.name;

      const auto report =
          inspect_checkpoint(files, kCheckpoints / "step-00000020", /*verify=*/true);
      EXPECT_FALSE(report.verified) << damage.name << ": " << path;
      EXPECT_THAT(report.problems, testing::Not(IsEmpty()));
    }
  }
}

TEST(DamagedCheckpoint, IsDescribedByPlaceAndKind) {
  MemoryFiles files;
  save_two(files);
  const Path newest = kCheckpoints / "step-00000020";
  files.content(newest / "config.json")[3] ^= 1;
  files.content(newest / "training/state.json") += "\n";
  files.remove_file(newest / "training/resolved.yaml");
  EXPECT_THAT(verify_checkpoint(files, newest),
              ElementsAre("config.json: bytes 0..23: checksum differs from the manifest",
                          "training/resolved.yaml: the file is missing",
                          testing::MatchesRegex(
                              "training/state.json: [0-9]+ bytes, but the manifest says [0-9]+")));
  files.remove_file(newest / "training/manifest.json");
  EXPECT_THAT(verify_checkpoint(files, newest),
              ElementsAre("training/manifest.json: the file is missing"));
}

TEST(DamagedCheckpoint, OfAllRefusedOnesNoneIsUsed) {
  MemoryFiles files;
  save_two(files);
  for (const char* step : {"step-00000010", "step-00000020"})
    files.content(kCheckpoints / step / "config.json") = "";
  const auto search = find_checkpoint(files, "/run");
  EXPECT_EQ(search.directory, std::nullopt);
  EXPECT_THAT(search.passed_over,
              ElementsAre(HasSubstr("step-00000020 is passed over"), HasSubstr("step-00000010")));
  try {
    choose_checkpoint(files, "/run");
    FAIL() << "chose one";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(
        error.what(),
        HasSubstr("/run/checkpoints holds no usable checkpoint:\n  step-00000020 is passed over"));
  }
}

TEST(DamagedCheckpoint, LargeFilesNameTheBlock) {
  MemoryFiles files;
  files.make_directory("/large");
  FileRecord record;
  {
    ChecksummedFile file(files, "/large", "blob");
    const std::string piece(5 << 20, 'x');
    for (int i = 0; i < 8; ++i) file.append(piece);
    record = file.finish();
  }
  EXPECT_EQ(record.bytes, uint64_t{40} << 20);
  ASSERT_EQ(record.blocks.size(), 3u);
  EXPECT_EQ(record.blocks[0], checksum_of(std::string(16 << 20, 'x')));
  EXPECT_EQ(record.blocks[2], checksum_of(std::string(8 << 20, 'x')));
  EXPECT_THAT(verify_files(files, "/large", {record}), IsEmpty());
  files.content("/large/blob")[20 << 20] = 'y';
  files.content("/large/blob")[36 << 20] = 'y';
  EXPECT_THAT(verify_files(files, "/large", {record}),
              ElementsAre("blob: bytes 16777216..33554432: checksum differs from the manifest (and "
                          "1 more places)"));
}

TEST(Checksum, IsThatOfTheToolXxh128sum) {
  EXPECT_EQ(checksum_of(""), "99aa06d3014798d86001c324468d497f");  // printf '' | xxh128sum
}

TEST(FindCheckpoint, IgnoresWhatIsNotACheckpoint) {
  MemoryFiles files;
  EXPECT_EQ(find_checkpoint(files, "/run").directory, std::nullopt);  // no run
  save_two(files);
  for (const char* name : {"step-30", "step-00000030x", "step-00000030.tmp",
                           "step-00000030.9f31c2aa.tmp", "notes", "step-00000040.trash"})
    files.make_directory(kCheckpoints / name);
  const auto search = find_checkpoint(files, "/run");
  EXPECT_EQ(search.directory, kCheckpoints / "step-00000020");
  EXPECT_THAT(search.passed_over, IsEmpty());
}

TEST(StepOf, UndoesCheckpointName) {
  for (int64_t step : {int64_t{0}, int64_t{7}, int64_t{99999999}, int64_t{123456789012}})
    EXPECT_EQ(step_of(checkpoint_name(step)), step);
  EXPECT_EQ(checkpoint_name(500), "step-00000500");
  EXPECT_EQ(step_of("step-00000500.tmp", ".tmp"), 500);
  EXPECT_EQ(step_of("step--0000001"), std::nullopt);
  EXPECT_EQ(step_of("step-0000000500"), std::nullopt);
}

TEST(ChooseCheckpoint, PrefersTheBestThenTheLatestThenSaysWhy) {
  MemoryFiles files;
  files.make_directory("/run");
  CheckpointWriter writer(files, kCheckpoints, {{3, KeepBest{"loss", false, 1}}});
  writer.save(small_snapshot(10, {{"loss", 1.0}}));
  writer.save(small_snapshot(20, {{"loss", 2.0}}));
  auto chosen = choose_checkpoint(files, "/run");
  EXPECT_EQ(chosen.why, "best");
  EXPECT_EQ(chosen.directory, kCheckpoints / "step-00000010");

  files.content(kCheckpoints / "step-00000010/config.json")[0] ^= 1;
  chosen = choose_checkpoint(files, "/run");
  EXPECT_EQ(chosen.why, "latest");
  EXPECT_EQ(chosen.directory, kCheckpoints / "step-00000020");
  EXPECT_THAT(chosen.passed_over,
              ElementsAre(HasSubstr("the best, step-00000010, is passed over: config.json")));

  EXPECT_EQ(choose_checkpoint(files, kCheckpoints / "step-00000020").why, "given");
  EXPECT_THROW(choose_checkpoint(files, kCheckpoints / "step-00000010"), CheckpointError);
  EXPECT_THROW(choose_checkpoint(files, "/nowhere"), CheckpointError);
}

}  // namespace
}  // namespace triga
