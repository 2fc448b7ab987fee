#include "checkpoint/initialize.h"

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

// Of a library that stores names with a prefix, a buffer that is no parameter, and a copy of a tied
// weight.
class PrefixedModel : public Architecture {
 public:
  std::vector<LayerSpec> layers() const override { return {}; }
  std::unique_ptr<Loss> loss() const override { return nullptr; }
  Batch collate(const std::vector<Sample>&, const CollateContext&) const override { return {}; }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>&) const override {}
  std::optional<std::string> parameter_name(const std::string& stored) const override {
    if (stored == "model.mask" || stored == "lm_head.weight") return std::nullopt;
    return stored.starts_with("model.") ? stored.substr(6) : stored;
  }
};

ParameterSpec spec(const std::string& name, std::vector<int64_t> shape) {
  ParameterSpec spec;
  spec.name = name;
  spec.shape = std::move(shape);
  return spec;
}

const std::vector<ParameterSpec> kParameters = {spec("wte", {4, 3}), spec("bias", {3}),
                                                spec("classifier.weight", {2, 3})};

class InitializationTest : public testing::Test {
 protected:
  TensorFiles store(const TensorsByName& tensors) {
    ChecksummedFile file(files_, "/", "model.safetensors");
    write_safetensors(file, tensors, {});
    file.finish();
    return TensorFiles(files_, "/", "model");
  }
  InitPlan plan(const TensorsByName& tensors, const InitOptions& options) {
    return plan_initialization(store(tensors), PrefixedModel(), kParameters, options);
  }
  std::string error(const TensorsByName& tensors, const InitOptions& options = {}) {
    try {
      plan(tensors, options);
    } catch (const CheckpointError& error) {
      return error.what();
    }
    return "accepted";
  }

  MemoryFiles files_;
  const TensorsByName complete_ = {{"model.wte", at::zeros({4, 3})},
                                   {"model.bias", at::zeros({3}, at::kHalf)},
                                   {"model.classifier.weight", at::zeros({2, 3})},
                                   {"model.mask", at::zeros({9})},
                                   {"lm_head.weight", at::zeros({4, 3})}};
};

TEST_F(InitializationTest, MapsNamesAndDropsWhatIsNoParameter) {
  const auto result = plan(complete_, {});
  EXPECT_EQ(result.stored,
            (std::map<std::string, std::string>{{"wte", "model.wte"},
                                                {"bias", "model.bias"},
                                                {"classifier.weight", "model.classifier.weight"}}));
  EXPECT_TRUE(result.missing.empty() && result.unexpected.empty() && result.reinitialized.empty());
}

TEST_F(InitializationTest, ListsMissingAndUnexpectedNames) {
  TensorsByName other = complete_;
  other.erase("model.bias");
  other["extra.weight"] = at::zeros({1});
  const auto message = error(other);
  EXPECT_THAT(message, HasSubstr("/model.safetensors does not fit the model:\n  bias is missing\n  "
                                 "extra.weight is not expected"));
  EXPECT_THAT(message, HasSubstr("init.strict: false"));
  const auto result = plan(other, {/*strict=*/false, {}});
  EXPECT_THAT(result.missing, ElementsAre("bias"));
  EXPECT_THAT(result.unexpected, ElementsAre("extra.weight"));
  EXPECT_EQ(result.stored.size(), 2u);
}

TEST_F(InitializationTest, LetsChosenParametersKeepTheirDrawnValuesWhateverTheFilesHold) {
  TensorsByName other = complete_;
  other["model.classifier.weight"] = at::zeros({7, 3});  // another number of classes
  const InitOptions options{
      true, [](const std::string& name) { return name.starts_with("classifier."); }};
  const auto result = plan(other, options);
  EXPECT_THAT(result.reinitialized, ElementsAre("classifier.weight"));
  EXPECT_EQ(result.stored.count("classifier.weight"), 0u);
  other.erase("model.classifier.weight");
  EXPECT_TRUE(plan(other, options).missing.empty());
}

TEST_F(InitializationTest, RefusesAWrongShapeEvenWhenNotStrict) {
  TensorsByName other = complete_;
  other["model.wte"] = at::zeros({3, 4});
  EXPECT_THAT(error(other, {false, {}}),
              HasSubstr("model.wte is F32 [3, 4], but the model has [4, 3]"));
}

TEST_F(InitializationTest, RefusesIntegersForAWeight) {
  TensorsByName other = complete_;
  other["model.wte"] = at::zeros({4, 3}, at::kInt);
  EXPECT_THAT(error(other), HasSubstr("model.wte is I32 [4, 3], which is not floating point"));
}

TEST_F(InitializationTest, RefusesTwoTensorsForOneParameter) {
  TensorsByName other = complete_;
  other["bias"] = at::zeros({3});
  EXPECT_THAT(error(other), HasSubstr("bias and model.bias are both bias"));
}

TEST_F(InitializationTest, ReadsTheTextsOfAModelDirectory) {
  for (const char* name : {"config.json", "vocab.txt", "README.md", "model.safetensors.index.json",
                           "model.safetensors"})
    atomic_write(files_, Path("/") / name, name);
  files_.make_directory("/folder.json");
  const auto texts = read_model_files(files_, "/");
  EXPECT_EQ(texts, (std::map<std::string, std::string>{{"README.md", "README.md"},
                                                       {"config.json", "config.json"},
                                                       {"vocab.txt", "vocab.txt"}}));
}

}  // namespace
}  // namespace triga
