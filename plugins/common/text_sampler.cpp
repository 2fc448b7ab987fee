#include "common/text_sampler.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/text_stream.h"
#include "common/token_choice.h"
#include "triga/tokenizer.h"

namespace triga::common {
namespace {

/// A sequence that a model is reading: its tokens, and what the model remembers of them.
class Reader {
 public:
  Reader(Predictor& predictor, int64_t context_length)
      : predictor_(predictor), context_length_(context_length) {}

  /// Reads tokens that follow. Result: the logits after the last one, [vocabulary].
  at::Tensor read(const std::vector<int64_t>& tokens) {
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
    if (state_.position() + static_cast<int64_t>(tokens.size()) <= context_length_)
      return predict(tokens);
    state_.clear();  // the context is full: go on from its last half
    return predict({tokens_.end() - std::max<int64_t>(1, context_length_ / 2), tokens_.end()});
  }

 private:
  at::Tensor predict(const std::vector<int64_t>& tokens) {
    Batch batch;
    batch.fields = {{"input_ids", at::tensor(tokens, at::kLong).unsqueeze(0)}};
    batch.num_samples = 1;
    const auto logits = predictor_.predict(batch, &state_)["logits"];
    state_.advance(static_cast<int64_t>(tokens.size()));
    return logits[0][-1];
  }

  Predictor& predictor_;
  int64_t context_length_;
  SequenceState state_;
  std::vector<int64_t> tokens_;
};

class TextSampler final : public Sampler {
 public:
  TextSampler(TextInputs inputs, int64_t context_length)
      : inputs_(std::move(inputs)), context_length_(context_length) {}

  void generate(Predictor& predictor, const SamplerContext& context) override {
    if (!context.tokenizer)
      throw ConfigError("text can not be generated without a tokenizer (data.tokenizer)");
    const auto prompt = prompt_tokens(*context.tokenizer);
    Reader after_prompt(predictor, context_length_);
    const auto logits = after_prompt.read(prompt);
    for (int64_t i = 0; i < inputs_.num_samples; ++i) {
      if (inputs_.num_samples > 1)
        context.print(c10::str(i == 0 ? "" : "\n", "--- sample ", i + 1, " of ",
                               inputs_.num_samples, " ---\n"));
      const auto key = RandomKey(static_cast<uint64_t>(inputs_.seed)).with("text");
      write_sample(prompt, {after_prompt, logits}, RandomStream(key, static_cast<uint64_t>(i)),
                   context);
    }
    context.print("\n");
  }

 private:
  std::vector<int64_t> prompt_tokens(const Tokenizer& tokenizer) const {
    const auto encoded = tokenizer.encode(inputs_.prompt);
    std::vector<int64_t> tokens(encoded.begin(), encoded.end());
    if (tokens.empty() && tokenizer.end_of_text()) tokens.push_back(*tokenizer.end_of_text());
    if (tokens.empty())
      throw ConfigError(
          "prompt is empty, and the tokenizer has no end-of-text token to start from: give a "
          "prompt");
    if (static_cast<int64_t>(tokens.size()) > context_length_)
      throw ConfigError(c10::str("prompt has ", tokens.size(), " tokens; the model reads at most ",
                                 context_length_));
    return tokens;
  }

  /// By value: every sample goes its own way from there.
  struct AfterPrompt {
    Reader reader;
    at::Tensor logits;
  };

  void write_sample(const std::vector<int64_t>& prompt, AfterPrompt after, RandomStream random,
                    const SamplerContext& context) const {
    const TokenChoice choice{inputs_.temperature, inputs_.top_k, inputs_.top_p};
    const auto num_tokens =
        std::min(context.tokenizer->vocab_size(), after.logits.size(0));  // more rows have no text
    context.print(inputs_.prompt);
    // A token's text may depend on the one before it, such as the space between two words.
    std::vector<int32_t> tokens(prompt.begin(), prompt.end());
    std::string text = context.tokenizer->decode(tokens);
    TextStream stream(context.print, text.size());
    for (int64_t i = 0; i < inputs_.max_new_tokens; ++i) {
      const auto token = choose_token(after.logits.narrow(0, 0, num_tokens), choice, random);
      if (context.tokenizer->end_of_text() == static_cast<int32_t>(token)) break;
      tokens.push_back(static_cast<int32_t>(token));
      text = context.tokenizer->decode(tokens);
      stream.update(text);
      if (i + 1 < inputs_.max_new_tokens) after.logits = after.reader.read({token});
    }
    stream.finish(text);
  }

  TextInputs inputs_;
  int64_t context_length_;
};

}  // namespace

void describe(Fields& fields, TextInputs& inputs) {
  fields.field("prompt", inputs.prompt)
      .help("The text to go on from; empty: the end-of-text token.")
      .known_as({"text", "start", "input", "context"});
  fields.field("max_new_tokens", inputs.max_new_tokens)
      .help("How many tokens to write at most.")
      .unit("tokens")
      .at_least(1)
      .known_as({"max_length", "max_tokens", "num_tokens", "length", "n_predict"});
  fields.field("temperature", inputs.temperature)
      .help(
          "Divides the logits: below 1 safer, above 1 wilder; 0 always takes the most likely "
          "token.")
      .at_least(0)
      .known_as({"temp"});
  fields.field("top_k", inputs.top_k)
      .help("Choose among the k most likely tokens only.")
      .at_least(1)
      .empty_word("none");
  fields.field("top_p", inputs.top_p)
      .help("Choose among the fewest most likely tokens whose probabilities add up to p.")
      .above(0)
      .at_most(1)
      .empty_word("none")
      .known_as({"nucleus"});
  fields.field("seed", inputs.seed)
      .help("Of the random choices: the same seed gives the same text.")
      .at_least(0)
      .known_as({"random_seed"});
  fields.field("num_samples", inputs.num_samples)
      .help("How many texts to write, one after the other.")
      .at_least(1)
      .known_as({"num_return_sequences", "n"});
}

SamplerKind text_sampler(int64_t context_length) {
  return {.create = [context_length](const ConfigNode& inputs) -> std::unique_ptr<Sampler> {
            return std::make_unique<TextSampler>(read_config<TextInputs>(inputs), context_length);
          },
          .schema = [] { return config_schema<TextInputs>(); }};
}

}  // namespace triga::common
