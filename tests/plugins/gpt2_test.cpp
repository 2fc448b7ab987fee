// What is gpt2's own, beside what tests/parity compares with transformers: wrong options and
// inputs, and the cache.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/plugins/cases.h"
#include "tests/support/cut_model.h"
#include "transformer/gpt2.h"

namespace triga::transformer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

Gpt2Config small_config() {
  Gpt2Config config;
  config.num_layers = 2;
  config.num_heads = 2;
  config.hidden_size = 16;
  config.context_length = 12;
  return config;
}

const test::LetterTokenizer kTokenizer;

Gpt2 small_model(Gpt2Config config = small_config()) {
  return Gpt2(config, {&kTokenizer});
}

Batch inputs(const std::vector<int64_t>& tokens) {
  Batch batch;
  batch.fields = {{"input_ids", at::tensor(tokens, at::kLong).unsqueeze(0)}};
  batch.num_samples = 1;
  return batch;
}

template <class Config>
Config read(const std::vector<std::pair<std::string, std::string>>& options) {
  return read_config<Config>(test::mapping_of(options));
}

TEST(Gpt2Config, RefusesHeadsThatDoNotDivideTheWidth) {
  EXPECT_THAT(
      [] {
        read<Gpt2Config>({{"hidden_size", "10"}, {"num_heads", "4"}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("hidden_size 10 is not a multiple of num_heads 4")));
}

TEST(Gpt2Config, AnswersTheNamesOfOtherTools) {
  for (const auto& [foreign, own] :
       std::map<std::string, std::string>{{"n_layer", "num_layers"},
                                          {"n_head", "num_heads"},
                                          {"n_embd", "hidden_size"},
                                          {"n_positions", "context_length"},
                                          {"block_size", "context_length"},
                                          {"resid_pdrop", "residual_dropout"},
                                          {"attn_pdrop", "attention_dropout"},
                                          {"embd_pdrop", "embedding_dropout"}})
    EXPECT_THAT(
        [name = foreign] {
          read<Gpt2Config>({{name, "1"}});
        },
        ThrowsMessage<ConfigError>(HasSubstr(own)));
}

TEST(Gpt2, TakesItsVocabularyFromTheTokenizer) {
  EXPECT_THAT(small_model().model_directory().files.at("config.json"),
              HasSubstr("\"vocab_size\": 60"));
  auto config = small_config();
  config.vocab_size = 64;
  EXPECT_THAT(small_model(config).model_directory().files.at("config.json"),
              HasSubstr("\"vocab_size\": 64"));
  config.vocab_size = 59;
  EXPECT_THAT(
      [&] { small_model(config); },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("vocab_size 59"), HasSubstr("at least 60"))));
  EXPECT_THAT([] { Gpt2(small_config(), {}); },
              ThrowsMessage<ConfigError>(HasSubstr("vocab_size is not known")));
}

TEST(Gpt2, FirstWeightsAreThoseOfGpt2) {
  auto config = small_config();
  config.hidden_size = 64;
  config.num_layers = 8;
  const test::CutModel model(small_model(config), {});
  const auto deviation = [&](const std::string& name) {
    return model.parameters().find("transformer." + name)->value.std().item<double>();
  };
  EXPECT_NEAR(deviation("wte.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("h.3.attn.c_attn.weight"), 0.02, 0.001);
  EXPECT_NEAR(deviation("h.3.attn.c_proj.weight"), 0.005, 0.0003);  // 0.02 / sqrt(2 * 8)
  EXPECT_NEAR(deviation("h.3.mlp.c_proj.weight"), 0.005, 0.0003);
  EXPECT_EQ(deviation("h.3.mlp.c_fc.bias"), 0);
  EXPECT_EQ(model.parameters().find("transformer.ln_f.weight")->value.min().item<double>(), 1);
}

TEST(Gpt2, TheCacheChangesNothing) {
  at::set_num_threads(1);
  const auto architecture = small_model();
  test::CutModel model(architecture, {}, /*seed=*/8);
  const std::vector<int64_t> tokens = {5, 3, 9, 1, 1, 40, 22, 7, 13, 2, 30, 17};
  const auto whole = model.predict(inputs(tokens), nullptr)["logits"][0];
  for (const auto& pieces :
       std::vector<std::vector<size_t>>{{12}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, {5, 4, 1, 2}}) {
    SequenceState state;
    size_t at = 0;
    for (const auto size : pieces) {
      const auto part = model.predict(inputs({tokens.begin() + at, tokens.begin() + at + size}),
                                      &state)["logits"][0];
      const auto expected = whole.narrow(0, int64_t(at), int64_t(size));
      EXPECT_LT((part - expected).abs().max().item<double>(), 1e-6) << "piece at " << at;
      state.advance(int64_t(size));
      at += size;
    }
    EXPECT_THAT([&] { model.predict(inputs({1}), &state); },
                ThrowsMessage<Error>(
                    AllOf(HasSubstr("position 13"), HasSubstr("12 tokens (context_length)"))));
  }
}

TEST(Gpt2, StateMovesWithItsSequence) {
  at::set_num_threads(1);
  const auto architecture = small_model();
  test::CutModel model(architecture, {}, /*seed=*/8);
  SequenceState state;
  Batch prompts;
  prompts.fields = {{"input_ids", at::tensor({1, 2, 3, 7, 8, 9}, at::kLong).view({2, 3})}};
  model.predict(prompts, &state);
  state.advance(3);
  state.reorder(at::tensor({1, 1}, at::kLong));  // forget the first sequence, fork the second
  Batch next;
  next.fields = {{"input_ids", at::tensor({4, 5}, at::kLong).view({2, 1})}};
  const auto logits = model.predict(next, &state)["logits"];
  for (int64_t i = 0; i < 2; ++i) {
    const auto alone = model.predict(inputs({7, 8, 9, 4 + i}), nullptr)["logits"][0][-1];
    EXPECT_LT((logits[i][0] - alone).abs().max().item<double>(), 1e-6);
  }
}

TEST(Gpt2, AttentionForDropoutIsTheFusedOneWhereNothingIsDropped) {
  at::set_num_threads(1);
  auto config = small_config();
  config.dropout = 0;
  const auto difference = [&](double attention_dropout) {
    config.attention_dropout = attention_dropout;
    const auto architecture = small_model(config);
    const auto batch = architecture.collate(
        {{{"tokens", at::arange(13, at::kLong)}}, {{"tokens", at::arange(20, 28, at::kLong)}}}, {});
    test::CutModel model(architecture, {}, /*seed=*/8);
    const auto evaluated = model.evaluate(batch)["logits"];
    return (model.train({batch}, false).at("step 0: logits") - evaluated)
        .abs()
        .max()
        .item<double>();
  };
  EXPECT_LT(difference(1e-9), 1e-6) << "1e-9: written out, but every weight stays";
  EXPECT_GT(difference(0.3), 1e-3);
  EXPECT_LT(difference(0), 1e-6);
}

TEST(Gpt2, RefusesSamplesThatItCanNotRead) {
  const auto model = small_model();
  const auto collate = [&](const at::Tensor& tokens) { model.collate({{{"tokens", tokens}}}, {}); };
  EXPECT_NO_THROW(collate(at::zeros({13}, at::kLong)));
  EXPECT_THAT(
      [&] { collate(at::zeros({14}, at::kLong)); },
      ThrowsMessage<DataError>(AllOf(HasSubstr("14 tokens"), HasSubstr("context_length = 12"))));
  EXPECT_THAT([&] { collate(at::zeros({1}, at::kLong)); },
              ThrowsMessage<DataError>(HasSubstr("at least 2")));
  EXPECT_THAT([&] { collate(at::zeros({4}, at::kInt)); },
              ThrowsMessage<DataError>(HasSubstr("one row of int64")));
}

TEST(Gpt2, PadsOnTheRightWithEndOfTextAndNoLabels) {
  const auto batch = small_model().collate({{{"tokens", at::tensor({1, 2, 3, 4}, at::kLong)}},
                                            {{"tokens", at::tensor({5, 6}, at::kLong)}}},
                                           {});
  EXPECT_TRUE(batch["input_ids"].equal(at::tensor({1, 2, 3, 5, 59, 59}, at::kLong).view({2, 3})));
  EXPECT_TRUE(batch["labels"].equal(at::tensor({2, 3, 4, 6, -100, -100}, at::kLong).view({2, 3})));
  EXPECT_EQ(small_model().loss()->count(batch, "loss"), 4);
}

}  // namespace
}  // namespace triga::transformer
