// make_token_dataset, over documents held in memory.
#include <gmock/gmock.h>

#include "data/bytes_tokenizer.h"
#include "tests/support/message_of.h"
#include "triga/dataset.h"

namespace triga {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::triga::test::message_of;

class Documents final : public DocumentSource {
 public:
  explicit Documents(std::vector<std::string> texts) : texts_(std::move(texts)) {}
  int64_t size() const override { return static_cast<int64_t>(texts_.size()); }
  std::string_view document(int64_t index) const override {
    return texts_[static_cast<size_t>(index)];
  }
  std::string fingerprint() const override { return "documents"; }

 private:
  std::vector<std::string> texts_;
};

/// Tokens of 'a' + i are i * scale, so that every integer type of storage can be reached.
class ScaledTokenizer final : public Tokenizer {
 public:
  explicit ScaledTokenizer(int32_t scale) : scale_(scale) {}
  int64_t vocab_size() const override { return 26 * scale_; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> tokens;
    for (char c : text) tokens.push_back((c - 'a') * scale_);
    return tokens;
  }
  std::string decode(const std::vector<int32_t>&) const override { return ""; }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override { return {}; }

 private:
  int32_t scale_;
};

const BytesTokenizer kBytes;

std::unique_ptr<Dataset> make(std::vector<std::string> texts, bool pack, int64_t sequence_length,
                              const Tokenizer* tokenizer = &kBytes) {
  return make_token_dataset(std::make_unique<Documents>(std::move(texts)), {.pack = pack},
                            {.split = "train",
                             .tokenizer = tokenizer,
                             .sequence_length = sequence_length,
                             .cache_dir = ""});
}

std::vector<int64_t> tokens_of(const Dataset& dataset, int64_t index) {
  const Sample sample = dataset.get(index);
  const at::Tensor& tokens = sample["tokens"];
  EXPECT_EQ(tokens.scalar_type(), at::kLong);
  EXPECT_EQ(tokens.dim(), 1);
  EXPECT_EQ(dataset.length(index), tokens.size(0) - 1);
  return {tokens.const_data_ptr<int64_t>(), tokens.const_data_ptr<int64_t>() + tokens.numel()};
}

TEST(PackedTokens, AreWindowsThatOverlapByOneWithEndOfTextBetweenDocuments) {
  const auto dataset = make({"abc", "", "de"}, /*pack=*/true, /*sequence_length=*/2);
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_THAT(tokens_of(*dataset, 0), ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(tokens_of(*dataset, 1), ElementsAre('c', 256, 'd'));
  EXPECT_THAT(tokens_of(*dataset, 2), ElementsAre('d', 'e'));
}

/// Each token but the first is predicted exactly once, whatever the length of the text.
TEST(PackedTokens, PredictEachTokenOnce) {
  for (size_t length = 2; length < 20; ++length) {
    std::string text;
    for (size_t i = 0; i < length; ++i) text += static_cast<char>('a' + i);
    const auto dataset = make({text}, true, 4);
    std::string predicted;
    for (int64_t i = 0; i < dataset->size(); ++i) {
      const auto tokens = tokens_of(*dataset, i);
      EXPECT_GE(tokens.size(), 2u);
      EXPECT_LE(tokens.size(), 5u);
      predicted.append(tokens.begin() + 1, tokens.end());
    }
    EXPECT_EQ(predicted, text.substr(1));
  }
}

TEST(DocumentTokens, AreOneDocumentEachWithItsEndCutToTheLength) {
  const auto dataset = make({"ab", "", "c", "defgh"}, /*pack=*/false, /*sequence_length=*/3);
  ASSERT_EQ(dataset->size(), 3);
  EXPECT_THAT(tokens_of(*dataset, 0), ElementsAre('a', 'b', 256));
  EXPECT_THAT(tokens_of(*dataset, 1), ElementsAre('c', 256));
  EXPECT_THAT(tokens_of(*dataset, 2), ElementsAre('d', 'e', 'f', 'g'));
}

TEST(DocumentTokens, LeaveOutDocumentsThatPredictNothing) {
  const ScaledTokenizer no_end(1);
  const auto dataset = make({"a", "bc", ""}, false, 8, &no_end);
  ASSERT_EQ(dataset->size(), 1);
  EXPECT_THAT(tokens_of(*dataset, 0), ElementsAre(1, 2));
}

TEST(TokenDataset, KeepsTokensOfVocabulariesOfEverySize) {
  for (int32_t scale : {1, 9, 10, 2520, 2521, 1000000}) {  // around 2^8 and 2^16 ids
    const ScaledTokenizer tokenizer(scale);
    const auto dataset = make({"az"}, true, 8, &tokenizer);
    EXPECT_THAT(tokens_of(*dataset, 0), ElementsAre(0, 25 * scale)) << scale;
  }
}

TEST(TokenDataset, RefusesWhatGivesNoSample) {
  EXPECT_EQ(message_of<DataError>([] {
              make({"a", ""}, true, 4);
            }),
            "none of 2 documents gives two tokens or more: there is nothing to predict");
  EXPECT_THAT(message_of<DataError>([] { make({""}, false, 4); }),
              HasSubstr("none of 1 documents"));
  EXPECT_THAT(message_of<ConfigError>([] { make({"abc"}, true, 4, nullptr); }),
              HasSubstr("names no tokenizer"));
  EXPECT_THAT(message_of<ConfigError>([] { make({"abc"}, true, 0); }),
              HasSubstr("no sequence length"));
}

TEST(TokenDataset, FingerprintChangesWithTheSamples) {
  const auto fingerprint = [](std::vector<std::string> texts, bool pack, int64_t length) {
    return make(std::move(texts), pack, length)->fingerprint();
  };
  EXPECT_EQ(fingerprint({"abc", "de"}, true, 4), fingerprint({"abc", "de"}, true, 4));
  EXPECT_NE(fingerprint({"abc", "de"}, true, 4), fingerprint({"abc", "df"}, true, 4));
  EXPECT_NE(fingerprint({"abc", "de"}, true, 4), fingerprint({"abc", "de"}, true, 5));
  EXPECT_NE(fingerprint({"abc", "de"}, true, 4), fingerprint({"abc", "de"}, false, 4));
  EXPECT_NE(fingerprint({"abc", "de"}, false, 4), fingerprint({"ab", "cde"}, false, 4));
}

}  // namespace
}  // namespace triga
