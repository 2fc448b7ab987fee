// The dataset kind `labelled_text`.
#include "data/labelled_text.h"

#include <gmock/gmock.h>

#include "config/yaml.h"
#include "data/bytes_tokenizer.h"
#include "data/cached_tokens.h"
#include "tests/support/message_of.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::message_of;
using ::triga::test::TemporaryFolder;

class LabelledTextTest : public testing::Test {
 protected:
  /// `options`: YAML beside files, such as "label_column: 2".
  std::unique_ptr<Dataset> make(const std::string& options = "", int64_t sequence_length = 4) {
    Registry registry;
    register_labelled_text(registry);
    const std::string files = "files: [\"" + (folder_ / "*.tsv") + "\"]\n";
    DatasetContext context;
    context.split = "train";
    context.tokenizer = &tokenizer_;
    context.sequence_length = sequence_length;
    context.cache_dir = cache_dir_;
    context.report_progress = [this](std::string_view what, int64_t done, int64_t all) {
      progress_.push_back(c10::str(what, " ", done, "/", all));
    };
    return registry.datasets.kinds().at(0).create(parse_yaml(files + options, "test"), context);
  }
  std::string refusal(const std::string& content) {
    folder_.write("a.tsv", content);
    return message_of<DataError>([&] { make(); });
  }
  static std::vector<int64_t> tokens(const Dataset& dataset, int64_t index) {
    const at::Tensor tokens = dataset.get(index)["tokens"];
    EXPECT_EQ(tokens.numel(), dataset.length(index));
    return {tokens.const_data_ptr<int64_t>(), tokens.const_data_ptr<int64_t>() + tokens.numel()};
  }
  static int64_t label(const Dataset& dataset, int64_t index) {
    return dataset.get(index)["label"].item<int64_t>();
  }

  TemporaryFolder folder_;
  BytesTokenizer tokenizer_;
  std::string cache_dir_;
  std::vector<std::string> progress_;
};

TEST_F(LabelledTextTest, IsATextAndALabelALine) {
  folder_.write("a.tsv", "ab\t1\nlonger\t0\r\n\n");
  folder_.write("b.tsv", "c\t12\textra");
  const auto dataset = make();
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_THAT(tokens(*dataset, 0), ElementsAre('a', 'b'));
  EXPECT_THAT(tokens(*dataset, 1), ElementsAre('l', 'o', 'n', 'g'));
  EXPECT_THAT(tokens(*dataset, 2), ElementsAre('c'));
  EXPECT_EQ(label(*dataset, 0), 1);
  EXPECT_EQ(label(*dataset, 1), 0);
  EXPECT_EQ(label(*dataset, 2), 12);
}

TEST_F(LabelledTextTest, ColumnsAndPartsAreAChoice) {
  folder_.write("a.tsv", "id,class,words\n1,5,x\n2,6,y\n3,7,z\n");
  const auto dataset = make(
      "separator: comma\ntext_column: 2\nlabel_column: 1\nskip_lines: 1\ntake: {from: 0.34}\n");
  ASSERT_EQ(dataset->size(), 2);
  EXPECT_THAT(tokens(*dataset, 0), ElementsAre('y'));
  EXPECT_EQ(label(*dataset, 1), 7);
}

TEST_F(LabelledTextTest, FingerprintKnowsTextsAndLabels) {
  const auto fingerprint = [&](const std::string& content) {
    folder_.write("a.tsv", content);
    return make()->fingerprint();
  };
  EXPECT_EQ(fingerprint("ab\t1\n"), fingerprint("ab\t1"));
  EXPECT_NE(fingerprint("ab\t1\n"), fingerprint("ab\t0\n"));
  EXPECT_NE(fingerprint("ab\t1\n"), fingerprint("ac\t1\n"));
}

TEST_F(LabelledTextTest, IsCutIntoTokensOnceWithProgressAndReadFromTheCache) {
  folder_.write("a.tsv", "ab\t1\nlonger\t0\n");
  cache_dir_ = folder_ / "cache";
  const auto dataset = make();
  EXPECT_THAT(progress_,
              ElementsAre("tokens of train 0/2", "tokens of train 1/2", "tokens of train 2/2"));
  const auto on_disk = tokens_on_disk(*dataset);
  ASSERT_TRUE(on_disk);
  EXPECT_EQ(on_disk->num_documents, 2);
  EXPECT_EQ(on_disk->num_tokens, 8) << "whole texts, whatever the model's length";
  EXPECT_TRUE(std::filesystem::exists(on_disk->path));
  progress_.clear();
  const auto longer = make("", 5);
  EXPECT_THAT(progress_, ::testing::IsEmpty());
  EXPECT_EQ(tokens_on_disk(*longer)->path, on_disk->path);
  EXPECT_THAT(tokens(*dataset, 1), ElementsAre('l', 'o', 'n', 'g'));
  EXPECT_THAT(tokens(*longer, 1), ElementsAre('l', 'o', 'n', 'g', 'e'));
  cache_dir_.clear();
  EXPECT_EQ(make()->fingerprint(), dataset->fingerprint());
}

TEST_F(LabelledTextTest, NamesTheLineThatIsWrong) {
  EXPECT_THAT(refusal("a\t1\nb\n"), HasSubstr("a.tsv:2: 1 columns; expected 2"));
  EXPECT_THAT(refusal("a\tgood\n"), HasSubstr("a.tsv:1: the label is 'good'"));
  EXPECT_THAT(refusal("a\t-1\n"), HasSubstr("the label is '-1'"));
  EXPECT_THAT(refusal("\t1\n"), HasSubstr("a.tsv:1: the text is empty"));
  EXPECT_THAT(refusal("\n\n"), HasSubstr("no line with a text and a label"));
  EXPECT_THAT(refusal("\xFF\t1\n"), HasSubstr("not UTF-8"));
  EXPECT_THAT(message_of<ConfigError>([&] { make("label_column: 0\n"); }),
              HasSubstr("is the text's column as well"));
}

}  // namespace
}  // namespace triga
