// A save and what is found afterwards, on the real file system.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/environment.h"
#include "checkpoint/inspect.h"
#include "checkpoint/reader.h"
#include "checkpoint/writer.h"
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

}  // namespace
}  // namespace triga
