// A save and what is found afterwards, on the real file system.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <new>
#include <system_error>
#include <thread>

#include "checkpoint/environment.h"
#include "checkpoint/inspect.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
#include "comm/local_communicator.h"
#include "tests/support/faulty_files.h"
#include "tests/support/memory_files.h"
#include "tests/support/message_of.h"
#include "tests/support/no_more_threads.h"
#include "tests/support/small_snapshot.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using test::small_snapshot;
using test::TemporaryFolder;

TEST(Save, WritesWhatIsReadBack) {
  TemporaryFolder run;
  CheckpointWriter writer(posix_files(), run.path() / "checkpoints", {});
  const auto snapshot = small_snapshot(20);
  const auto directory = writer.save(snapshot);
  EXPECT_EQ(directory, run.path() / "checkpoints" / "step-00000020");

  const auto search = find_checkpoint(posix_files(), run.path());
  ASSERT_EQ(search.directory, directory);
  EXPECT_TRUE(search.passed_over.empty());

  const Checkpoint checkpoint(posix_files(), directory);
  EXPECT_EQ(checkpoint.state(), snapshot.state);
  EXPECT_EQ(checkpoint.manifest().environment, snapshot.environment);
  EXPECT_EQ(checkpoint.manifest().metrics, snapshot.metrics);
  EXPECT_EQ(checkpoint.text("config.json"), snapshot.model.files.at("config.json"));
  EXPECT_EQ(checkpoint.text("tokenizer.json"), snapshot.files.at("tokenizer.json"));
  EXPECT_EQ(checkpoint.text("training/resolved.yaml"), snapshot.resolved);
  const auto weights = checkpoint.weights({});
  for (const auto& [name, tensor] : snapshot.weights.at(""))
    EXPECT_TRUE(weights.read(name).equal(tensor)) << name;
  const auto optimizer = checkpoint.training("optimizer");
  for (const auto& [name, tensor] : snapshot.training.at("optimizer"))
    EXPECT_TRUE(optimizer.read(name).equal(tensor)) << name;
  EXPECT_FALSE(checkpoint.has_training("weights"));
}

/// With three files that are worth a thread.
Snapshot large_snapshot(int64_t step) {
  Snapshot snapshot = small_snapshot(step);
  const auto numbers = [&](int64_t numel) { return at::arange(numel, at::kFloat) + step; };
  snapshot.weights[""]["large"] = numbers(2 << 20);
  snapshot.training["optimizer"]["large.momentum"] = numbers((3 << 20) + 5);
  snapshot.training["weights"]["large"] = numbers(kLargeFileBytes / 4);
  return snapshot;
}

TEST(Save, WritesLargeFilesSideBySide) {
  TemporaryFolder run;
  CheckpointWriter writer(posix_files(), run.path(), {});
  const Snapshot snapshot = large_snapshot(20);
  const Path directory = writer.save(snapshot);
  EXPECT_TRUE(verify_checkpoint(posix_files(), directory).empty());
  const Checkpoint checkpoint(posix_files(), directory);
  EXPECT_TRUE(checkpoint.weights({}).read("large").equal(snapshot.weights.at("").at("large")));
  for (const auto& [stem, tensors] : snapshot.training)
    for (const auto& [name, tensor] : tensors)
      EXPECT_TRUE(checkpoint.training(stem).read(name).equal(tensor)) << stem << " " << name;
}

TEST(Save, WritesLargeFilesWhereNoThreadCanBeStarted) {
  test::MemoryFiles files;
  files.make_directory("/run");
  const Snapshot snapshot = large_snapshot(20);  // this may want threads, and so may that
  const auto alone = make_single_communicator();
  Path directory;
  {
    const test::NoMoreThreads none;
    EXPECT_THROW(std::thread([] {}), std::system_error) << "the test tests nothing";
    directory = CheckpointWriter(files, "/run/checkpoints", {}).save(snapshot, *alone);
  }
  EXPECT_TRUE(verify_checkpoint(files, directory).empty());
}

// Whatever it is: a run that goes on can save later.
TEST(Save, FailsInWordsWhateverFails) {
  const auto failing_with = [](const std::function<void()>& fail) {
    TemporaryFolder run;
    test::FaultyFiles files(posix_files());
    files.before_each([&](const std::string& operation) {
      if (operation == "write model.safetensors") fail();
    });
    CheckpointWriter writer(files, run.path(), {});
    const std::string message =
        test::message_of<CheckpointError>([&] { writer.save(small_snapshot(30)); });
    EXPECT_TRUE(posix_files().list(run.path()).empty()) << message;
    return message;
  };
  using testing::EndsWith;
  EXPECT_THAT(failing_with([] { throw std::bad_alloc(); }), EndsWith(": out of memory"));
  EXPECT_THAT(failing_with([] { TRIGA_CHECK(false, "the moon"); }), testing::HasSubstr("the moon"));
  EXPECT_THAT(
      failing_with([] { throw std::system_error(EAGAIN, std::generic_category(), "a thread"); }),
      EndsWith("a thread: Resource temporarily unavailable"));
}

TEST(Save, OfLargeFilesFailsAsAWhole) {
  const auto prepare = [](const TemporaryFolder& run) {
    CheckpointWriter(posix_files(), run.path(), {}).save(small_snapshot(20));
  };
  std::vector<int64_t> writes;  // operations that are one
  int64_t num_large = 0;
  {
    TemporaryFolder run;
    prepare(run);
    test::FaultyFiles counted(posix_files());
    CheckpointWriter(counted, run.path(), {}).save(large_snapshot(30));
    num_large = std::count_if(counted.log().begin(), counted.log().end(),
                              [](const auto& one) { return one.starts_with("create large"); });
    for (size_t i = 0; i < counted.log().size(); ++i)
      if (counted.log()[i].starts_with("write")) writes.push_back(static_cast<int64_t>(i) + 1);
  }
  ASSERT_GT(writes.size(), 20u);
  ASSERT_EQ(num_large, 3) << "the files that pass by the page cache";
  for (size_t i = 2; i < writes.size(); i += writes.size() / 6) {
    TemporaryFolder run;
    prepare(run);
    test::FaultyFiles failing(posix_files(),
                              {test::Fault::Kind::kErrorFromHereOn, writes[i], ENOSPC});
    CheckpointWriter writer(failing, run.path(), {});
    EXPECT_THROW(writer.save(large_snapshot(30)), DiskFullError) << "write " << i;
    EXPECT_TRUE(failing.has_struck());
    EXPECT_TRUE(verify_checkpoint(posix_files(), run.path() / "step-00000020").empty());
    EXPECT_FALSE(std::filesystem::exists(run.path() / "step-00000030"));
  }
}

// As diffusers lays it out: a folder a component, weights of another stem.
TEST(Save, LaysComponentsOutAsTheModelDirectorySays) {
  TemporaryFolder run;
  auto snapshot = small_snapshot(5);
  snapshot.model.files = {{"model_index.json", "{}"}, {"unet/config.json", "{}"}};
  snapshot.model.components = {{"unet", "unet", "diffusion_pytorch_model"},
                               {"text", "text_encoder", "model"}};
  snapshot.weights = {{"unet", {{"a", at::ones({2})}, {"b", at::ones({3})}}},
                      {"text", {{"c", at::zeros({2})}}}};
  CheckpointWriter writer(posix_files(), run.path() / "checkpoints", {{}, /*max_shard_bytes=*/12});
  const auto directory = writer.save(snapshot);
  std::vector<std::string> paths;
  const auto manifest = read_manifest(posix_files(), directory);
  for (const auto& record : manifest.files) paths.push_back(record.path);
  EXPECT_THAT(paths,
              testing::IsSupersetOf({"model_index.json", "unet/config.json",
                                     "unet/diffusion_pytorch_model-00001-of-00002.safetensors",
                                     "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
                                     "unet/diffusion_pytorch_model.safetensors.index.json",
                                     "text_encoder/model.safetensors", "training/state.json"}));
  const Checkpoint checkpoint(posix_files(), directory);
  EXPECT_TRUE(checkpoint.weights(snapshot.model.components[0]).read("b").equal(at::ones({3})));
  EXPECT_TRUE(checkpoint.weights(snapshot.model.components[1]).read("c").equal(at::zeros({2})));
}

TEST(Save, RefusesASnapshotWhosePartsClash) {
  const auto alone = make_single_communicator();
  auto snapshot = small_snapshot(5);
  snapshot.files["config.json"] = "another";
  EXPECT_THROW(parts_of(snapshot, 1 << 20, *alone), Error);
  snapshot = small_snapshot(5);
  snapshot.weights.clear();
  EXPECT_THROW(parts_of(snapshot, 1 << 20, *alone), Error);
  snapshot = small_snapshot(5);
  snapshot.weights["unknown"] = {};
  EXPECT_THROW(parts_of(snapshot, 1 << 20, *alone), Error);
  snapshot = small_snapshot(5);
  snapshot.files["../outside"] = "x";
  EXPECT_THROW(parts_of(snapshot, 1 << 20, *alone), Error);
}

TEST(Save, SaysWhenTheFolderCannotBeUsed) {
  TemporaryFolder run;
  atomic_write(posix_files(), run.path() / "checkpoints", "a file");
  EXPECT_THROW(CheckpointWriter(posix_files(), run.path() / "checkpoints", {}), CheckpointError);
}

TEST(Inspect, ReportsTensorsStateAndVersions) {
  TemporaryFolder run;
  CheckpointWriter writer(posix_files(), run.path() / "checkpoints", {});
  const auto snapshot = small_snapshot(20);
  const auto directory = writer.save(snapshot);
  const auto report = inspect_checkpoint(posix_files(), directory, /*verify=*/true);
  EXPECT_TRUE(report.verified);
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.state, snapshot.state);
  EXPECT_EQ(report.manifest->environment, snapshot.environment);
  ASSERT_EQ(report.files.size(), 2u);
  EXPECT_EQ(report.files[0].path, "model.safetensors");
  EXPECT_EQ(report.files[0].metadata.at("format"), "pt");
  EXPECT_EQ(report.files[1].path, "training/optimizer.safetensors");
  EXPECT_EQ(report.num_elements(), 17);  // 4 x 3 + 5
  EXPECT_FALSE(inspect_checkpoint(posix_files(), directory, /*verify=*/false).verified);
}

TEST(Inspect, TakesAModelDirectoryThatNoRunWroteAndRefusesAnythingElse) {
  TemporaryFolder folder;
  EXPECT_THROW(inspect_checkpoint(posix_files(), folder.path(), true), CheckpointError);
  EXPECT_THROW(inspect_checkpoint(posix_files(), folder.path() / "absent", true), CheckpointError);
  ChecksummedFile file(posix_files(), folder.path(), "model.safetensors");
  write_safetensors(file, {{"x", at::ones({2})}}, {});
  file.finish();
  const auto report = inspect_checkpoint(posix_files(), folder.path(), true);
  EXPECT_EQ(report.manifest, std::nullopt);
  EXPECT_FALSE(report.verified);
  EXPECT_TRUE(report.problems.empty());
  EXPECT_EQ(report.num_elements(), 2);
}

}  // namespace
}  // namespace triga
