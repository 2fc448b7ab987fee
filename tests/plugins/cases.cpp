#include "tests/plugins/cases.h"

#include <ATen/ATen.h>

#include "config/yaml.h"

namespace triga::test {
namespace {

/// 3 to 17 letters.
Sample letters(int64_t index) {
  RandomStream random(RandomKey(3).with("letters"), static_cast<uint64_t>(index));
  auto tokens = at::empty({3 + random.below(15)}, at::kLong);
  for (int64_t i = 0; i < tokens.size(0); ++i) tokens[i] = random.below(58);
  return {{"tokens", tokens}};
}

/// Bytes of a grey image, 8 x 8.
Sample image(int64_t index) {
  RandomStream random(RandomKey(3).with("image"), static_cast<uint64_t>(index));
  auto pixels = at::empty({1, 8, 8}, at::kByte);
  auto* pixel = pixels.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < pixels.numel(); ++i) pixel[i] = static_cast<uint8_t>(random.below(256));
  return {{"image", pixels}};
}

/// 1 to 12 letters of one of three classes.
Sample word(int64_t index) {
  RandomStream random(RandomKey(3).with("word"), static_cast<uint64_t>(index));
  auto tokens = at::empty({1 + random.below(12)}, at::kLong);
  for (int64_t i = 0; i < tokens.size(0); ++i) tokens[i] = random.below(58);
  return {{"tokens", tokens}, {"label", at::scalar_tensor(random.below(3), at::kLong)}};
}

/// 1 to 12 pairs of numbers of one of three classes.
Sample labelled_pairs(int64_t index) {
  RandomStream random(RandomKey(3).with("pairs"), static_cast<uint64_t>(index));
  at::Tensor features = at::empty({1 + random.below(12), 2}, at::kFloat);
  fill_normal(features, RandomKey(3).with("features"), 0, 1, static_cast<uint64_t>(index));
  return {{"features", features}, {"label", at::scalar_tensor(random.below(3), at::kLong)}};
}

/// An image of one of three classes.
Sample labelled_image(int64_t index) {
  Sample sample = image(index);
  sample.set("label", at::scalar_tensor(index % 3, at::kLong));
  return sample;
}

/// 9 rows of 2 columns, and the 4 that follow.
Sample series(int64_t index) {
  at::Tensor rows = at::empty({13, 2}, at::kFloat);
  fill_normal(rows, RandomKey(3).with("series"), 0, 1, static_cast<uint64_t>(index));
  return {{"input", rows.narrow(0, 0, 9)}, {"target", rows.narrow(0, 9, 4)}};
}

/// 1 to 12 pairs of numbers, and three that belong to them.
Sample measured(int64_t index) {
  RandomStream random(RandomKey(3).with("measured"), static_cast<uint64_t>(index));
  at::Tensor features = at::empty({1 + random.below(12), 2}, at::kFloat);
  at::Tensor target = at::empty({3}, at::kFloat);
  fill_normal(features, RandomKey(3).with("features"), 0, 1, static_cast<uint64_t>(index));
  fill_normal(target, RandomKey(3).with("target"), 0, 1, static_cast<uint64_t>(index));
  return {{"features", features}, {"target", target}};
}

}  // namespace

const std::vector<Case>& conformance_cases() {
  static const std::vector<Case> cases = {
      {.plugin = "transformer",
       .kind = "gpt2",
       .config = {{"num_layers", "3"},
                  {"num_heads", "2"},
                  {"hidden_size", "16"},
                  {"context_length", "16"},
                  {"dropout", "0.1"}},
       .sample = letters,
       .has_tokenizer = true,
       .sampler_inputs = {{"prompt", "HELLO"}, {"max_new_tokens", "40"}, {"seed", "4"}}},
      {.plugin = "transformer",
       .kind = "vit_classifier",
       .config = {{"image_size", "8"},
                  {"patch_size", "4"},
                  {"num_channels", "1"},
                  {"num_labels", "3"},
                  {"num_layers", "3"},
                  {"num_heads", "2"},
                  {"hidden_size", "16"},
                  {"intermediate_size", "32"},
                  {"dropout", "0.1"},
                  {"attention_dropout", "0.1"},
                  {"shift", "2"},
                  {"flip", "true"}},
       .sample = labelled_image,
       .sampler_inputs = {}},
      {.plugin = "transformer",
       .kind = "bert_mlm",
       .config = {{"num_layers", "3"},
                  {"num_heads", "2"},
                  {"hidden_size", "16"},
                  {"intermediate_size", "32"},
                  {"context_length", "20"},
                  {"dropout", "0.1"},
                  {"attention_dropout", "0.1"}},
       .sample = letters,
       .has_tokenizer = true,
       .sampler_inputs = {{"text", "HE[MASK]LO[MASK]"}, {"top_k", "3"}}},
      {.plugin = "transformer",
       .kind = "bert_classifier",
       .config = {{"num_labels", "3"},
                  {"num_layers", "3"},
                  {"num_heads", "2"},
                  {"hidden_size", "16"},
                  {"intermediate_size", "32"},
                  {"context_length", "20"},
                  {"dropout", "0.1"},
                  {"attention_dropout", "0.1"}},
       .sample = word,
       .has_tokenizer = true,
       .sampler_inputs = {{"text", "HELLO"}}},
      {.plugin = "rnn",
       .kind = "rnn_language_model",
       .config = {{"num_layers", "2"},
                  {"embedding_size", "12"},
                  {"hidden_size", "16"},
                  {"context_length", "16"},
                  {"dropout", "0.1"}},
       .sample = letters,
       .has_tokenizer = true,
       .sampler_inputs = {{"prompt", "HELLO"}, {"max_new_tokens", "40"}, {"seed", "4"}}},
      {.plugin = "rnn",
       .kind = "rnn_classifier",
       .config = {{"num_labels", "3"},
                  {"num_layers", "2"},
                  {"embedding_size", "12"},
                  {"hidden_size", "16"},
                  {"bidirectional", "true"},
                  {"max_length", "12"},
                  {"dropout", "0.1"}},
       .sample = word,
       .has_tokenizer = true,
       .sampler_inputs = {}},
      {.plugin = "rnn",
       .kind = "rnn_classifier",
       .config = {{"input", "features"},
                  {"num_features", "2"},
                  {"num_labels", "3"},
                  {"cell", "gru"},
                  {"num_layers", "2"},
                  {"hidden_size", "16"},
                  {"forget_bias", "1"},
                  {"recurrent_gain", "1.5"},
                  {"max_length", "12"},
                  {"dropout", "0.1"}},
       .sample = labelled_pairs,
       .sampler_inputs = {},
       .variant = "of_features"},
      {.plugin = "rnn",
       .kind = "rnn_regressor",
       .config = {{"num_features", "2"},
                  {"num_targets", "3"},
                  {"num_layers", "2"},
                  {"hidden_size", "16"},
                  {"bidirectional", "true"},
                  {"max_length", "12"},
                  {"dropout", "0.1"}},
       .sample = measured,
       .sampler_inputs = {}},
      {.plugin = "rnn",
       .kind = "rnn_forecaster",
       .config = {{"num_features", "2"},
                  {"horizon", "4"},
                  {"num_layers", "2"},
                  {"hidden_size", "16"},
                  {"subtract_last", "true"},
                  {"dropout", "0.1"}},
       .sample = series,
       .sampler_inputs = {{"file", std::string(TRIGA_TEST_DATA) + "/series.csv"},
                          {"columns", "load,heat"},
                          {"input_length", "9"},
                          {"standardise_to", "0"}}},
      {.plugin = "diffusion",
       .kind = "ddpm",
       .config = {{"sample_size", "8"},
                  {"in_channels", "1"},
                  {"block_out_channels", "[8, 16]"},
                  {"down_block_types", "[DownBlock2D, AttnDownBlock2D]"},
                  {"up_block_types", "[AttnUpBlock2D, UpBlock2D]"},
                  {"layers_per_block", "1"},
                  {"attention_head_dim", "8"},
                  {"norm_num_groups", "4"},
                  {"dropout", "0.1"}},
       .sample = image,
       .sampler_inputs = {{"num_images", "3"}, {"num_steps", "4"}, {"seed", "4"}}},
      {.plugin = "my_plugin",  // what `triga plugin new` writes
       .kind = "bigram",
       .config = {{"context_length", "16"}, {"hidden_size", "8"}, {"dropout", "0.1"}},
       .sample = letters,
       .has_tokenizer = true,
       .sampler_inputs = {}},
  };
  return cases;
}

ConfigNode mapping_of(const std::vector<std::pair<std::string, std::string>>& values) {
  auto node = ConfigNode::make_mapping();
  for (const auto& [key, value] : values)
    node.add(key, value.starts_with('[') ? parse_yaml_value(value, "case", key)
                                         : ConfigNode::make_scalar(value));
  return node;
}

ConfigNode Case::config_node() const {
  return mapping_of(config);
}

std::vector<int32_t> LetterTokenizer::encode(std::string_view text) const {
  std::vector<int32_t> tokens;
  for (const char letter : text) tokens.push_back(letter - 'A');
  return tokens;
}

std::optional<int32_t> LetterTokenizer::token_id(std::string_view token) const {
  constexpr std::string_view kSpecial[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (int32_t id = 0; id < 5; ++id)
    if (kSpecial[id] == token) return id;
  return std::nullopt;
}

std::string LetterTokenizer::decode(const std::vector<int32_t>& tokens) const {
  std::string text;
  for (const auto token : tokens) text += static_cast<char>('A' + token);
  return text;
}

}  // namespace triga::test
