#include "checkpoint/tensor_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/checksum.h"
#include "tests/support/memory_files.h"

namespace triga {
namespace {

using test::MemoryFiles;
using testing::ElementsAre;
using testing::HasSubstr;

const Path kFolder = "/model";

void write_plan(FileSystem& files, const ShardPlan& plan) {
  files.make_directory(kFolder);
  for (const auto& [name, tensors] : plan.files) {
    ChecksummedFile file(files, kFolder, name);
    write_safetensors(file, tensors, {});
    file.finish();
  }
  if (!plan.index_name.empty()) atomic_write(files, kFolder / plan.index_name, plan.index);
}

TensorsByName five_tensors() {
  TensorsByName tensors;
  for (int i = 0; i < 5; ++i)
    tensors[c10::str("t", i)] = at::arange(10, at::kFloat) + i;  // 40 bytes each
  return tensors;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(PlanShards, FillsShardsUpToTheLimitAndWritesTheirIndex) {
  const auto plan = plan_shards(five_tensors(), "model", 80);
  ASSERT_EQ(plan.files.size(), 3u);
  EXPECT_EQ(plan.files[0].first, "model-00001-of-00003.safetensors");
  EXPECT_EQ(plan.files[0].second.size(), 2u);
  EXPECT_EQ(plan.files[2].second.size(), 1u);
  EXPECT_EQ(plan.index_name, "model.safetensors.index.json");
  EXPECT_THAT(plan.index, HasSubstr("\"total_size\": 200"));
  EXPECT_THAT(plan.index, HasSubstr("\"t4\": \"model-00003-of-00003.safetensors\""));
}

TEST(PlanShards, GivesOneFileWithoutIndexWhereItFitsAndAShardToATensorThatDoesNot) {
  const auto one = plan_shards(five_tensors(), "model", 200);
  EXPECT_EQ(one.files.size(), 1u);
  EXPECT_EQ(one.files[0].first, "model.safetensors");
  EXPECT_EQ(one.index_name, "");
  EXPECT_EQ(plan_shards(five_tensors(), "model", 1).files.size(), 5u);
  EXPECT_EQ(plan_shards({}, "model", 1).files.size(), 1u);
}

TEST(TensorFiles, ReadsTheSameFromOneFileAndFromShards) {
  for (uint64_t limit : {1000, 80, 1}) {
    MemoryFiles files;
    write_plan(files, plan_shards(five_tensors(), "model", limit));
    const TensorFiles tensors(files, kFolder, "model");
    EXPECT_THAT(tensors.names(), ElementsAre("t0", "t1", "t2", "t3", "t4"));
    for (const auto& [name, tensor] : five_tensors()) EXPECT_TRUE(tensors.read(name).equal(tensor));
    auto range = at::empty({4}, at::kFloat);
    tensors.read_range("t3", 5, range);
    EXPECT_TRUE(range.equal(at::arange(8, 12, at::kFloat)));
  }
}

TEST(TensorFiles, ChecksNameShapeAndDtype) {
  MemoryFiles files;
  write_plan(files, plan_shards(five_tensors(), "model", 1000));
  const TensorFiles tensors(files, kFolder, "model");
  auto right = at::zeros({10}, at::kFloat);
  tensors.read_into("t1", right);
  EXPECT_TRUE(right.equal(at::arange(1, 11, at::kFloat)));
  EXPECT_EQ(error_of([&] { tensors.read("absent"); }),
            "/model/model.safetensors: there is no tensor 'absent'");
  EXPECT_EQ(error_of([&] {
              tensors.read_into("t1", at::zeros({5, 2}));
            }),
            "/model/model.safetensors: tensor 't1' is F32 [10], but the model has F32 [5, 2]");
  EXPECT_THAT(error_of([&] { tensors.read_into("t1", at::zeros({10}, at::kDouble)); }),
              HasSubstr("the model has F64 [10]"));
  EXPECT_THAT(error_of([&] { tensors.read_range("t1", 7, at::zeros({4})); }),
              HasSubstr("no elements 7..11"));
  EXPECT_THAT(error_of([&] { tensors.read_range("t1", 0, at::zeros({4}, at::kInt)); }),
              HasSubstr("of I32"));
}

TEST(TensorFiles, ConvertsBetweenFloatingDtypesOnlyWhenAsked) {
  MemoryFiles files;
  write_plan(files, plan_shards({{"half", at::tensor({1.5, -2.0}).to(at::kHalf)},
                                 {"int", at::zeros({2}, at::kInt)}},
                                "model", 1000));
  const TensorFiles tensors(files, kFolder, "model");
  auto single = at::zeros({2}, at::kFloat);
  EXPECT_NE(error_of([&] { tensors.read_into("half", single); }), "accepted");
  tensors.read_converted("half", single);
  EXPECT_TRUE(single.equal(at::tensor({1.5f, -2.0f})));
  EXPECT_NE(error_of([&] { tensors.read_converted("int", single); }), "accepted");
}

TEST(TensorFiles, RefusesAPickleWithTheLineThatConvertsIt) {
  for (const char* name : {"pytorch_model.bin", "model.pt", "model.bin"}) {
    MemoryFiles files;
    files.make_directory(kFolder);
    atomic_write(files, kFolder / name, "x");
    const auto error = error_of([&] { TensorFiles(files, kFolder, "model"); });
    EXPECT_THAT(error, HasSubstr(std::string("/model/") + name + " is a Python pickle"));
    EXPECT_THAT(error,
                HasSubstr("python3 -c \"import torch, safetensors.torch as s; s.save_file({k: v"));
    EXPECT_THAT(error, HasSubstr("'/model/model.safetensors', metadata={'format': 'pt'})\""));
  }
}

TEST(TensorFiles, RefusesBrokenIndexes) {
  const std::pair<const char*, const char*> cases[] = {
      {"{", "not JSON"},
      {"{}", "'weight_map' is missing"},
      {"[]", "'weight_map' is missing"},
      {R"({"weight_map": {"t0": 1}})", "of another type"},
      {R"({"weight_map": {"t0": "../model.safetensors"}})",
       "is not the name of a file in this folder"},
      {R"({"weight_map": {"t0": ".."}})", "is not the name of a file in this folder"},
      {R"({"weight_map": {"t0": "absent.safetensors"}})", "No such file"},
      {R"({"weight_map": {"t9": "model-00001-of-00003.safetensors"}})",
       "tensor 't9' is not in model-00001"},
      {R"({"weight_map": {}, "weight_map": {}})", "the key 'weight_map' is there twice"},
  };
  for (const auto& [index, message] : cases) {
    MemoryFiles files;
    auto plan = plan_shards(five_tensors(), "model", 80);
    plan.index = index;
    write_plan(files, plan);
    EXPECT_THAT(error_of([&] { TensorFiles(files, kFolder, "model"); }), HasSubstr(message))
        << index;
  }
  MemoryFiles files;
  files.make_directory(kFolder);
  EXPECT_THAT(error_of([&] { TensorFiles(files, kFolder, "model"); }),
              HasSubstr("there is neither /model/model.safetensors nor"));
}

}  // namespace
}  // namespace triga
