#include "trainer/assembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/encoder_decoder.h"
#include "tests/support/message_of.h"

namespace triga {
namespace {

using test::message_of;
using ::testing::HasSubstr;

class DataWithFiles final : public Dataset {
 public:
  explicit DataWithFiles(TextFiles files) : files_(std::move(files)) {}
  int64_t size() const override { return 1; }
  Sample get(int64_t) const override { return {}; }
  std::string fingerprint() const override { return "same"; }
  TextFiles model_files() const override { return files_; }

 private:
  TextFiles files_;
};

class TokenizerWithFile final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 1; }
  std::vector<int32_t> encode(std::string_view) const override { return {}; }
  std::string decode(const std::vector<int32_t>&) const override { return ""; }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  TextFiles files() const override { return {{"vocab.txt", "a\n"}}; }
};

Assembly assembly_of(TextFiles files_of_data) {
  Assembly assembly;
  assembly.architecture = std::make_unique<test::EncoderDecoder>();
  assembly.tokenizer = std::make_unique<TokenizerWithFile>();
  assembly.train = std::make_unique<DataWithFiles>(std::move(files_of_data));
  return assembly;
}

TEST(ModelFiles, AreThoseOfArchitectureTokenizerAndData) {
  const Assembly assembly = assembly_of({{"classes.txt", "cat\ndog\n"}});
  EXPECT_EQ(further_model_files(assembly),
            (TextFiles{{"classes.txt", "cat\ndog\n"}, {"vocab.txt", "a\n"}}));
  TextFiles all = assembly.architecture->model_directory().files;
  ASSERT_FALSE(all.empty());
  all["classes.txt"] = "cat\ndog\n";
  all["vocab.txt"] = "a\n";
  EXPECT_EQ(model_files(assembly), all);
}

TEST(ModelFiles, OfTheDataTakeNoOtherPlace) {
  const auto refusal = [](const std::string& name) {
    return message_of<PluginError>([&] { further_model_files(assembly_of({{name, "{}"}})); });
  };
  for (const char* name : {"../classes.txt", "training/state.json", "model.safetensors"})
    EXPECT_THAT(refusal(name), HasSubstr("allowed: NAME.json and NAME.txt"));
  EXPECT_THAT(refusal("vocab.txt"), HasSubstr("'vocab.txt', which the model or the tokenizer has"));
}

}  // namespace
}  // namespace triga
