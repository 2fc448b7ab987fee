#include "transformer/bert_samplers.h"

#include <ATen/ops/softmax.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/topk.h>

#include <algorithm>
#include <iomanip>
#include <sstream>
#include <string>
#include <utility>

namespace triga::transformer {
namespace {

constexpr std::string_view kMask = "[MASK]";

const Tokenizer& tokenizer_of(const SamplerContext& context) {
  if (context.tokenizer == nullptr)
    throw ConfigError("text can not be read without a tokenizer (data.tokenizer)");
  return *context.tokenizer;
}

/// logits of one text: [T, V] or [num_labels].
at::Tensor predict(Predictor& predictor, const TokenRow& row) {
  Batch batch;
  batch.fields = {{"input_ids", at::tensor(row, at::kLong).unsqueeze(0)}};
  batch.num_samples = 1;
  return predictor.predict(batch, nullptr)["logits"][0].to(at::kCPU, at::kFloat);
}

/// The entries of a vector of logits from the most likely, with their probabilities.
std::vector<std::pair<int64_t, double>> most_likely(const at::Tensor& logits, int64_t count) {
  const at::Tensor probabilities = at::softmax(logits, -1);
  const auto [values, indices] = at::topk(probabilities, std::min(count, probabilities.size(0)));
  std::vector<std::pair<int64_t, double>> entries;
  for (int64_t i = 0; i < values.size(0); ++i)
    entries.emplace_back(indices[i].item<int64_t>(), values[i].item<double>());
  return entries;
}

std::string percent(double probability) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(1) << 100 * probability << " %";
  return text.str();
}

struct FillMaskInputs {
  std::string text;
  int64_t top_k = 5;
};

void describe(Fields& fields, FillMaskInputs& inputs) {
  fields.field("text", inputs.text)
      .help("A text in which each [MASK] stands for one token that is to be guessed.")
      .required()
      .known_as({"prompt", "input", "inputs", "sentence"});
  fields.field("top_k", inputs.top_k)
      .help("How many of the most likely tokens to show for each [MASK].")
      .at_least(1)
      .known_as({"k", "num_guesses"});
}

class FillMaskSampler final : public Sampler {
 public:
  FillMaskSampler(FillMaskInputs inputs, BertTokens tokens, int64_t context_length)
      : inputs_(std::move(inputs)), tokens_(std::move(tokens)), context_length_(context_length) {}

  void generate(Predictor& predictor, const SamplerContext& context) override {
    const Tokenizer& tokenizer = tokenizer_of(context);
    const TokenRow row = row_of_text(tokenizer);
    const at::Tensor logits_TV = predict(predictor, row);
    int64_t number = 0;
    for (size_t place = 0; place < row.size(); ++place) {
      if (row[place] != tokens_.mask) continue;
      // More rows than the vocabulary has have no text.
      const at::Tensor logits_V =
          logits_TV[static_cast<int64_t>(place)].narrow(0, 0, tokens_.vocab_size);
      std::string line = c10::str(kMask, " ", ++number, ":");
      for (const auto& [token, probability] : most_likely(logits_V, inputs_.top_k))
        line += c10::str(" ", tokenizer.decode({static_cast<int32_t>(token)}), " (",
                         percent(probability), ")");
      context.print(line + "\n");
    }
  }

 private:
  /// [CLS], the tokens between one [MASK] and the next, [SEP].
  TokenRow row_of_text(const Tokenizer& tokenizer) const {
    TokenRow row = {tokens_.cls};
    const auto add = [&](std::string_view part) {
      const auto tokens = tokenizer.encode(part);
      row.insert(row.end(), tokens.begin(), tokens.end());
    };
    std::string_view rest = inputs_.text;
    bool has_mask = false;
    for (size_t at; (at = rest.find(kMask)) != rest.npos; has_mask = true) {
      add(rest.substr(0, at));
      row.push_back(tokens_.mask);
      rest.remove_prefix(at + kMask.size());
    }
    add(rest);
    row.push_back(tokens_.sep);
    if (!has_mask) throw ConfigError("text has no [MASK]: nothing in it is to be guessed");
    if (static_cast<int64_t>(row.size()) > context_length_)
      throw ConfigError(c10::str("text has ", row.size(),
                                 " tokens with [CLS] and [SEP]; the model reads at most ",
                                 context_length_));
    return row;
  }

  FillMaskInputs inputs_;
  BertTokens tokens_;
  int64_t context_length_;
};

struct TextClassInputs {
  std::string text;
};

void describe(Fields& fields, TextClassInputs& inputs) {
  fields.field("text", inputs.text)
      .help("The text whose class is asked for.")
      .required()
      .known_as({"prompt", "input", "inputs", "sentence"});
}

class TextClassSampler final : public Sampler {
 public:
  TextClassSampler(TextClassInputs inputs, BertTokens tokens, int64_t context_length)
      : inputs_(std::move(inputs)), tokens_(std::move(tokens)), context_length_(context_length) {}

  void generate(Predictor& predictor, const SamplerContext& context) override {
    const auto tokens = tokenizer_of(context).encode(inputs_.text);
    if (tokens.empty()) throw ConfigError("text is empty");
    const auto num_kept = std::min(tokens.size(), static_cast<size_t>(context_length_ - 2));
    TokenRow row = {tokens_.cls};
    row.insert(row.end(), tokens.begin(), tokens.begin() + static_cast<int64_t>(num_kept));
    row.push_back(tokens_.sep);
    const at::Tensor logits = predict(predictor, row);
    for (const auto& [label, probability] : most_likely(logits, logits.size(0)))
      context.print(c10::str("class ", label, ": ", percent(probability), "\n"));
  }

 private:
  TextClassInputs inputs_;
  BertTokens tokens_;
  int64_t context_length_;
};

template <class Kind, class Inputs>
SamplerKind kind_of(const BertTokens& tokens, int64_t context_length) {
  return sampler_kind<Inputs>([tokens, context_length](const Inputs& inputs) {
    return std::make_unique<Kind>(inputs, tokens, context_length);
  });
}

}  // namespace

SamplerKind fill_mask_sampler(const BertTokens& tokens, int64_t context_length) {
  return kind_of<FillMaskSampler, FillMaskInputs>(tokens, context_length);
}

SamplerKind text_class_sampler(const BertTokens& tokens, int64_t context_length) {
  return kind_of<TextClassSampler, TextClassInputs>(tokens, context_length);
}

}  // namespace triga::transformer
