// What the conformance suite runs each architecture with: a small configuration and samples for it.
// A new kind gets a line in cases.cpp; the suite fails for a kind without one.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "triga/config.h"
#include "triga/dataset.h"
#include "triga/tokenizer.h"

namespace triga::test {

struct Case {
  std::string plugin, kind;
  std::vector<std::pair<std::string, std::string>> config;  // scalars, [lists]
  std::function<Sample(int64_t index)> sample;
  bool has_tokenizer = false;
  std::vector<std::pair<std::string, std::string>>
      sampler_inputs;        // that make what it gives certain
  std::string variant = {};  // of a kind that has several cases; "": the first

  std::string name() const { return plugin + "_" + kind + (variant.empty() ? "" : "_" + variant); }
  ConfigNode config_node() const;
};

const std::vector<Case>& conformance_cases();

/// Sixty tokens, of which 59 ends a text; token t is the letter 'A' + t. The first five are BERT's
/// special tokens as well: [PAD], [UNK], [CLS], [SEP], [MASK].
class LetterTokenizer final : public Tokenizer {
 public:
  int64_t vocab_size() const override { return 60; }
  std::vector<int32_t> encode(std::string_view text) const override;
  std::string decode(const std::vector<int32_t>& tokens) const override;
  std::optional<int32_t> end_of_text() const override { return 59; }
  std::optional<int32_t> token_id(std::string_view token) const override;
  std::map<std::string, std::string> files() const override { return {}; }
};

ConfigNode mapping_of(const std::vector<std::pair<std::string, std::string>>& values);

}  // namespace triga::test
