// What plugins share: the stream of text, and the sampler's way from prompt to text. (The choice of
// a token is compared with transformers in tests/parity.)
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/text_sampler.h"
#include "common/text_stream.h"
#include "common/token_choice.h"
#include "tests/plugins/cases.h"

namespace triga::common {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(TextStream, HoldsBackWhatMayStillBecomeACharacter) {
  std::vector<std::string> printed;
  TextStream stream([&](std::string_view text) { printed.emplace_back(text); });
  stream.update("a");
  stream.update("a\xEF\xBF\xBD");
  stream.update("a\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_THAT(printed, ElementsAre("a"));
  stream.update("a\xC3\xA9");  // the two bytes were one letter
  stream.update(
      "a\xC3\xA9\xEF\xBF\xBD"
      "b");
  stream.update(
      "a\xC3\xA9\xEF\xBF\xBD"
      "b\xEF\xBF\xBD");
  stream.finish(
      "a\xC3\xA9\xEF\xBF\xBD"
      "b\xEF\xBF\xBD");
  EXPECT_THAT(printed, ElementsAre("a", "\xC3\xA9",
                                   "\xEF\xBF\xBD"
                                   "b",
                                   "\xEF\xBF\xBD"));
}

TEST(TokenChoice, NamesALogitThatIsNotANumber) {
  RandomStream random{RandomKey(1)};
  for (const double bad : {std::nan(""), double(INFINITY)})
    EXPECT_THAT(
        [&] {
          choose_token(at::tensor({1.0, bad, 2.0}), {}, random);
        },
        ThrowsMessage<Error>(HasSubstr("logit of token 1")));
}

TEST(TokenChoice, GreedyTakesTheFirstOfTheLargest) {
  RandomStream random{RandomKey(1)};
  EXPECT_EQ(choose_token(at::tensor({1.0, 5.0, 5.0}), {.temperature = 0}, random), 1);
}

/// A model that remembers how much it read: after token t it is sure of t + 1, and it checks its
/// own positions.
class Counter final : public Predictor {
 public:
  explicit Counter(int64_t context_length) : context_length_(context_length) {}
  Activations predict(const Batch& batch, SequenceState* state) override {
    const auto& tokens = batch["input_ids"];
    num_read += tokens.size(1);
    EXPECT_LE(state->position() + tokens.size(1), context_length_);
    auto logits = at::zeros({1, tokens.size(1), 64});
    const auto last = tokens[0][-1].item<int64_t>();
    logits[0][-1][last + 1] = 50;
    logits[0][-1][63] = 100;  // a row that no token of the tokenizer has
    return {{"logits", logits}};
  }
  int64_t num_read = 0;

 private:
  int64_t context_length_;
};

std::string generate(std::vector<std::pair<std::string, std::string>> inputs, Counter& model,
                     int64_t context_length) {
  const test::LetterTokenizer tokenizer;
  std::string text;
  text_sampler(context_length)
      .create(test::mapping_of(inputs))
      ->generate(model, {&tokenizer, [&](std::string_view part) { text += part; }, {}});
  return text;
}

TEST(TextSampler, GoesOnFromThePromptAndReadsEachTokenOnce) {
  Counter model(100);
  EXPECT_EQ(generate({{"prompt", "ABC"}, {"max_new_tokens", "4"}}, model, 100), "ABCDEFG\n");
  EXPECT_EQ(model.num_read, 3 + 3) << "the last token is not read";
}

TEST(TextSampler, EndsAtTheEndOfText) {
  Counter model(100);
  const std::string near_the_end = {'A' + 56};
  EXPECT_EQ(generate({{"prompt", near_the_end}, {"max_new_tokens", "50"}}, model, 100),
            near_the_end + char('A' + 57) + char('A' + 58) + "\n");
}

TEST(TextSampler, GoesOnFromTheLastHalfWhenTheContextIsFull) {
  Counter model(4);
  EXPECT_EQ(generate({{"prompt", "AB"}, {"max_new_tokens", "7"}}, model, 4), "ABCDEFGHI\n");
  EXPECT_EQ(model.num_read, 2 + 2 + 2 + 1 + 1 + 2 + 0) << "prompt, C D, again D E, F, G, again G H";
}

TEST(TextSampler, SamplesAreNumberedAndStartFromOneReadingOfThePrompt) {
  Counter model(100);
  EXPECT_EQ(generate({{"prompt", "AB"}, {"max_new_tokens", "1"}, {"num_samples", "2"}}, model, 100),
            "--- sample 1 of 2 ---\nABC\n--- sample 2 of 2 ---\nABC\n");
  EXPECT_EQ(model.num_read, 2);
}

TEST(TextSampler, RefusesAPromptThatTheModelCanNotRead) {
  Counter model(4);
  EXPECT_THAT(
      [&] {
        generate({{"prompt", "ABCDE"}}, model, 4);
      },
      ThrowsMessage<ConfigError>(HasSubstr("prompt has 5 tokens; the model reads at most 4")));
}

/// Words with a space between: what a word looks like depends on whether another is before it.
class WordTokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 26; }
  std::vector<int32_t> encode(std::string_view text) const override { return {text[0] - 'a'}; }
  std::string decode(const std::vector<int32_t>& tokens) const override {
    std::string text;
    for (const int32_t token : tokens)
      text += std::string(text.empty() ? 0 : 1, ' ') + static_cast<char>('a' + token);
    return text;
  }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override { return {}; }
};

TEST(TextSampler, WritesWhatFollowsThePromptAsItStandsBehindIt) {
  Counter model(100);
  const WordTokenizer tokenizer;
  std::string text;
  SamplerContext context;
  context.tokenizer = &tokenizer;
  context.print = [&](std::string_view part) { text += part; };
  text_sampler(100)
      .create(test::mapping_of({{"prompt", "apple"}, {"max_new_tokens", "2"}}))
      ->generate(model, context);
  EXPECT_EQ(text, "apple b c\n");
}

/// No end of text, so an empty prompt has nothing to start from.
class EndlessTokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 4; }
  std::vector<int32_t> encode(std::string_view text) const override {
    return std::vector<int32_t>(text.size(), 1);
  }
  std::string decode(const std::vector<int32_t>& tokens) const override {
    return std::string(tokens.size(), 'x');
  }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override { return {}; }
};

TEST(TextSampler, RefusesToStartFromNothing) {
  Counter model(4);
  const EndlessTokenizer tokenizer;
  const auto run = [&](const Tokenizer* with) {
    text_sampler(4)
        .create(test::mapping_of({{"prompt", ""}}))
        ->generate(model, {with, [](std::string_view) {}, {}});
  };
  EXPECT_THAT([&] { run(&tokenizer); }, ThrowsMessage<ConfigError>(HasSubstr("prompt is empty")));
  EXPECT_THAT([&] { run(nullptr); }, ThrowsMessage<ConfigError>(HasSubstr("without a tokenizer")));
}

}  // namespace
}  // namespace triga::common
