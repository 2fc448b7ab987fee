// What is BERT's own, beside what tests/parity compares with transformers: inputs, masking, samplers,
// names of old files, and what is refused.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "tests/plugins/cases.h"
#include "tests/support/cut_model.h"
#include "transformer/bert.h"

namespace triga::transformer {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

// Of the LetterTokenizer.
constexpr int64_t kPad = 0, kUnknown = 1, kCls = 2, kSep = 3, kMask = 4, kNone = -100;
const test::LetterTokenizer kTokenizer;

template <class Config>
Config small_config() {
  Config config;
  config.num_layers = 2;
  config.num_heads = 2;
  config.hidden_size = 16;
  config.intermediate_size = 32;
  config.context_length = 12;
  return config;
}

BertMlm small_mlm(const BertMlmConfig& config = small_config<BertMlmConfig>()) {
  return {config, {&kTokenizer}};
}

BertClassifier small_classifier(
    const BertClassifierConfig& config = small_config<BertClassifierConfig>()) {
  return {config, {&kTokenizer}};
}

at::Tensor ints(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong);
}

Sample labelled(const std::vector<int64_t>& tokens, int64_t label) {
  return {{"tokens", ints(tokens)}, {"label", at::scalar_tensor(label, at::kLong)}};
}

CollateContext at_position(int64_t position, bool training) {
  CollateContext context;
  context.first_position = position;
  context.key = RandomKey(9);
  context.training = training;
  return context;
}

TEST(BertClassifier, PutsTextsBetweenTheirTokensAndPadsToTheLongest) {
  const auto batch = small_classifier().collate(
      {labelled({10, 11, 12}, 1), labelled({13}, 0), labelled({14, kSep}, 1)}, {});
  EXPECT_TRUE(batch["input_ids"].equal(
      at::tensor({kCls, int64_t{10}, int64_t{11}, int64_t{12}, kSep, kCls, int64_t{13}, kSep, kPad,
                  kPad, kCls, int64_t{14}, kSep, kPad, kPad})
          .view({3, 5})));
  EXPECT_TRUE(batch["attention_mask"].sum(1).equal(ints({5, 3, 3})));
  EXPECT_TRUE(batch["labels"].equal(ints({1, 0, 1})));
}

TEST(BertClassifier, HasNoMaskWhereNothingIsPadded) {
  const auto batch = small_classifier().collate({labelled({10}, 1), labelled({13}, 0)}, {});
  EXPECT_FALSE(batch.fields.contains("attention_mask"));
}

TEST(BertClassifier, PaddingChangesNothing) {
  at::set_num_threads(1);
  const auto architecture = small_classifier();
  test::CutModel model(architecture, {}, /*seed=*/8);
  const auto alone = model.evaluate(architecture.collate({labelled({10, 11}, 1)}, {}))["logits"];
  const auto padded = model.evaluate(architecture.collate(
      {labelled({10, 11}, 1), labelled({7, 8, 9, 20, 21, 22}, 0)}, {}))["logits"];
  EXPECT_LT((alone[0] - padded[0]).abs().max().item<double>(), 1e-6);
}

TEST(BertMlm, MasksAsBertDoes) {
  const BertTokens tokens = bert_tokens(&kTokenizer, "bert_mlm");
  int64_t num_masked = 0, num_replaced = 0, num_kept = 0;
  constexpr int64_t kRows = 2000, kLength = 100;
  for (int64_t i = 0; i < kRows; ++i) {
    TokenRow row = {kCls};
    for (int64_t t = 0; t < kLength; ++t) row.push_back(t % 10 == 0 ? kUnknown : 5 + (t + i) % 55);
    row.push_back(kSep);
    const TokenRow before = row;
    const auto masked =
        mask_row(row, tokens, 0.15, RandomStream(RandomKey(3), static_cast<uint64_t>(i)));
    // 10 of the 100 are [UNK] and stay: 15 % of 90, rounded.
    ASSERT_EQ(masked.positions.size(), 14U);
    ASSERT_EQ(masked.labels.size(), 14U);
    std::set<int64_t> places(masked.positions.begin(), masked.positions.end());
    ASSERT_EQ(places.size(), 14U) << "a place was chosen twice";
    for (size_t k = 0; k < masked.positions.size(); ++k) {
      const auto place = static_cast<size_t>(masked.positions[k]);
      ASSERT_EQ(masked.labels[k], before[place]);
      ASSERT_FALSE(tokens.is_special(before[place]));
      num_masked += row[place] == kMask ? 1 : 0;
      num_kept += row[place] == before[place] ? 1 : 0;
      if (row[place] == kMask || row[place] == before[place]) continue;
      ++num_replaced;
      ASSERT_FALSE(tokens.is_special(row[place])) << "replaced by a special token";
    }
    for (size_t t = 0; t < row.size(); ++t)
      if (!places.contains(static_cast<int64_t>(t))) {
        ASSERT_EQ(row[t], before[t]);
      }
  }
  // A token drawn at random is the same one in 1 of 55 cases. Bounds: four standard deviations.
  const double total = 14.0 * kRows;
  const auto near = [&](int64_t count, double share) {
    EXPECT_NEAR(static_cast<double>(count) / total, share,
                4 * std::sqrt(share * (1 - share) / total));
  };
  near(num_masked, 0.8);
  near(num_replaced, 0.1 * 54 / 55);
  near(num_kept, 0.1 + 0.1 / 55);
}

TEST(BertMlm, DrawsEveryOrdinaryTokenAndNoOther) {
  const BertTokens tokens = bert_tokens(&kTokenizer, "bert_mlm");
  RandomStream random(RandomKey(1));
  std::set<int64_t> drawn;
  for (int i = 0; i < 5000; ++i) drawn.insert(tokens.draw(random));
  EXPECT_EQ(drawn.size(), 55U);
  EXPECT_EQ(*drawn.begin(), 5);
  EXPECT_EQ(*drawn.rbegin(), 59);
}

TEST(BertMlm, MasksByPosition) {
  const auto model = small_mlm();
  std::vector<Sample> samples;
  for (int64_t i = 0; i < 4; ++i)
    samples.push_back({{"tokens", ints({20, 21, 22, 23, 24, 25, 26, 27, 28})}});
  const auto whole = model.collate(samples, at_position(40, true));
  // The same in two halves, and in an evaluation; another one elsewhere.
  for (const int64_t half : {0, 2}) {
    const auto part =
        model.collate({samples.begin(), samples.begin() + 2}, at_position(40 + half, false));
    EXPECT_TRUE(part["input_ids"].equal(whole["input_ids"].narrow(0, half, 2)));
    EXPECT_TRUE(part["masked_positions"].equal(whole["masked_positions"].narrow(0, half, 2)));
  }
  const auto later = model.collate(samples, at_position(44, true));
  EXPECT_FALSE(later["masked_positions"].equal(whole["masked_positions"]));
}

TEST(BertMlm, NamesThePlacesAndTheirTokens) {
  auto config = small_config<BertMlmConfig>();
  config.masked_share = 1;
  const auto batch = small_mlm(config).collate({{{"tokens", ints({20, 21, 22})}},
                                                {{"tokens", ints({23, kSep})}},
                                                {{"tokens", ints({kUnknown, kSep})}}},
                                               {});
  EXPECT_TRUE(batch["masked_positions"].equal(ints({1, 2, 3, 1, 0, 0, 0, 0, 0}).view({3, 3})));
  EXPECT_TRUE(batch["labels"].equal(
      ints({20, 21, 22, 23, kNone, kNone, kNone, kNone, kNone}).view({3, 3})));
  EXPECT_EQ(small_mlm().loss()->count(batch, "loss"), 4);
}

TEST(BertMlm, GuessesAtThePlacesAlone) {
  at::set_num_threads(1);
  const auto architecture = small_mlm();
  test::CutModel model(architecture, {}, /*seed=*/8);
  const auto batch = architecture.collate(
      {{{"tokens", ints({20, 21, 22, 23, 24, 25, 26})}}, {{"tokens", ints({30, 31, 32})}}}, {});
  Batch all = batch;
  all.fields.erase("masked_positions");
  const auto some = model.predict(batch, nullptr)["logits"];
  const auto everywhere = model.predict(all, nullptr)["logits"];
  ASSERT_EQ(everywhere.sizes(), at::IntArrayRef({2, 9, 60}));
  for (int64_t i = 0; i < 2; ++i) {
    const int64_t place = batch["masked_positions"][i][0].item<int64_t>();
    EXPECT_LT((some[i][0] - everywhere[i][place]).abs().max().item<double>(), 1e-6);
  }
}

TEST(Bert, ReadsTheNamesOfOldFilesAndPassesOverOtherHeads) {
  const auto mlm = small_mlm();
  const auto classifier = small_classifier();
  const std::string layer = "bert.encoder.layer.1.";
  EXPECT_EQ(mlm.parameter_name(layer + "attention.output.LayerNorm.gamma"),
            layer + "attention.output.LayerNorm.weight");
  EXPECT_EQ(mlm.parameter_name("cls.predictions.transform.LayerNorm.beta"),
            "cls.predictions.transform.LayerNorm.bias");
  EXPECT_EQ(classifier.parameter_name("encoder.layer.1.intermediate.dense.weight"),
            layer + "intermediate.dense.weight");
  EXPECT_EQ(classifier.parameter_name("pooler.dense.bias"), "bert.pooler.dense.bias");
  for (const auto* name :
       {"cls.seq_relationship.weight", "cls.predictions.decoder.weight", "bert.pooler.dense.bias",
        "bert.embeddings.position_ids", "classifier.weight", "cls.predictions.decoder.bias"})
    EXPECT_EQ(mlm.parameter_name(name), std::nullopt) << name;
  for (const auto* name : {"cls.predictions.bias", "cls.seq_relationship.bias",
                           "cls.predictions.transform.dense.weight", "embeddings.position_ids"})
    EXPECT_EQ(classifier.parameter_name(name), std::nullopt) << name;
}

TEST(Bert, ReadsTheDirectoryOfTheOtherKindButOfNoOtherEncoder) {
  const auto files = small_mlm().model_directory().files;
  EXPECT_NO_THROW(small_classifier().check_compatible(files));
  EXPECT_NO_THROW(small_mlm().check_compatible(small_classifier().model_directory().files));
  auto config = small_config<BertClassifierConfig>();
  config.num_heads = 4;
  config.context_length = 20;
  EXPECT_THAT([&] { small_classifier(config).check_compatible(files); },
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("num_heads: 4 here, 2 there"),
                                               HasSubstr("context_length: 20 here, 12 there"))));
}

class WithoutMask final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 60; }
  std::vector<int32_t> encode(std::string_view) const override { return {}; }
  std::string decode(const std::vector<int32_t>&) const override { return ""; }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::optional<int32_t> token_id(std::string_view token) const override {
    if (token == "[CLS]" || token == "[SEP]") return 7;
    return std::nullopt;
  }
  std::map<std::string, std::string> files() const override { return {}; }
};

TEST(Bert, SaysWhichTokensATokenizerLacks) {
  const WithoutMask tokenizer;
  EXPECT_THAT([&] { BertMlm(small_config<BertMlmConfig>(), {&tokenizer}); },
              ThrowsMessage<ConfigError>(HasSubstr("lacks [PAD], [MASK]")));
  EXPECT_THAT([] { BertClassifier(small_config<BertClassifierConfig>(), {}); },
              ThrowsMessage<ConfigError>(HasSubstr("kind bert_classifier needs a tokenizer")));
}

TEST(Bert, RefusesSamplesThatItCanNotRead) {
  const auto model = small_classifier();
  const auto collate = [&](const at::Tensor& tokens) {
    model.collate({{{"tokens", tokens}, {"label", at::scalar_tensor(1, at::kLong)}}}, {});
  };
  EXPECT_NO_THROW(collate(at::full({10}, 9, at::kLong)));
  EXPECT_THAT(
      [&] { collate(at::full({11}, 9, at::kLong)); },
      ThrowsMessage<DataError>(AllOf(HasSubstr("11 tokens"), HasSubstr("context_length = 12"))));
  EXPECT_THAT([&] { collate(at::zeros({4}, at::kInt)); },
              ThrowsMessage<DataError>(HasSubstr("one row of int64")));
}

/// A model that is the surer of a token, the nearer its id is to 10 plus its place; of a class, the
/// larger it is.
class Certain final : public Predictor {
 public:
  explicit Certain(int64_t num_labels) : num_labels_(num_labels) {}
  Activations predict(const Batch& batch, SequenceState*) override {
    input_ids = batch["input_ids"];
    if (num_labels_ > 0) return {{"logits", at::arange(num_labels_, at::kFloat).unsqueeze(0)}};
    const int64_t time = input_ids.size(1);
    const auto best = at::arange(time, at::kFloat).add(10).unsqueeze(1);
    return {{"logits", -(at::arange(64, at::kFloat) - best).abs().mul(2).unsqueeze(0)}};
  }
  at::Tensor input_ids;

 private:
  int64_t num_labels_;
};

std::string generate(const Architecture& model, Predictor& predictor, const std::string& text,
                     const Tokenizer* tokenizer = &kTokenizer) {
  auto inputs = ConfigNode::make_mapping();
  inputs.add("text", ConfigNode::make_scalar(text, /*quoted=*/true));
  std::string printed;
  SamplerContext context;
  context.tokenizer = tokenizer;
  context.print = [&](std::string_view part) { printed += part; };
  model.sampler()->create(inputs)->generate(predictor, context);
  return printed;
}

TEST(BertMlm, TellsTheMostLikelyTokensOfEachMask) {
  Certain predictor(0);
  EXPECT_THAT(generate(small_mlm(), predictor, "K[MASK]L[MASK]"),
              AllOf(HasSubstr("[MASK] 1: M (7"), HasSubstr("[MASK] 2: O (7")));
  EXPECT_TRUE(predictor.input_ids.equal(ints({kCls, 10, kMask, 11, kMask, kSep}).unsqueeze(0)));
  EXPECT_THAT([&] { generate(small_mlm(), predictor, "HELLO"); },
              ThrowsMessage<ConfigError>(HasSubstr("text has no [MASK]")));
  EXPECT_THAT([&] { generate(small_mlm(), predictor, "ABCDEFGHIJ[MASK]"); },
              ThrowsMessage<ConfigError>(HasSubstr("13 tokens with [CLS] and [SEP]")));
  EXPECT_THAT([&] { generate(small_mlm(), predictor, "[MASK]", nullptr); },
              ThrowsMessage<ConfigError>(HasSubstr("without a tokenizer")));
}

TEST(BertClassifier, TellsTheClassesOfATextTheMostLikelyFirst) {
  Certain predictor(2);
  EXPECT_EQ(generate(small_classifier(), predictor, "KLMNKLMNKLMN"),
            "class 1: 73.1 %\nclass 0: 26.9 %\n");
  EXPECT_EQ(predictor.input_ids.size(1), 12) << "cut to context_length";
  EXPECT_THAT([&] { generate(small_classifier(), predictor, ""); },
              ThrowsMessage<ConfigError>(HasSubstr("text is empty")));
}

}  // namespace
}  // namespace triga::transformer
