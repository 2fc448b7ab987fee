// Tokenizers as experiments make them: by kind and options.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "data/core_kinds.h"
#include "tests/support/message_of.h"

namespace triga::test {

using TokenizerOptions = std::map<std::string, std::string>;

inline std::unique_ptr<Tokenizer> make_tokenizer(const std::string& kind,
                                                 const TokenizerOptions& options,
                                                 const TokenizerContext& context = {}) {
  Registry registry;
  register_core_tokenizers(registry);
  ConfigNode config = ConfigNode::make_mapping();
  for (const auto& [key, value] : options) config.add(key, ConfigNode::make_scalar(value));
  for (const auto& each : registry.tokenizers.kinds())
    if (each.name == kind) return each.create(config, context);
  return nullptr;
}

inline std::string refusal_of_tokenizer(const std::string& kind, const TokenizerOptions& options,
                                        const TokenizerContext& context = {}) {
  return message_of<ConfigError>([&] { make_tokenizer(kind, options, context); });
}

/// Training data of one text; counts how often they are read.
class TrainingText {
 public:
  TokenizerContext context(const std::string& text, const std::string& cache_dir = "") {
    TokenizerContext context;
    context.cache_dir = cache_dir;
    context.for_each_text = [this, text](const auto& visit) {
      visit(text);
      ++num_readings;
    };
    return context;
  }
  int num_readings = 0;
};

}  // namespace triga::test
