// Tokenizer: text to token ids and back. It is written into every checkpoint in the files of
// Hugging Face tokenizers, so that a checkpoint is all one needs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "triga/progress.h"

namespace triga {

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual int64_t vocab_size() const = 0;
  /// Thread-safe.
  virtual std::vector<int32_t> encode(std::string_view text) const = 0;
  virtual std::string decode(const std::vector<int32_t>& tokens) const = 0;

  /// The token that ends a document, if there is one: put between packed documents; ends
  /// generation.
  virtual std::optional<int32_t> end_of_text() const = 0;

  /// The id of a token by its text in the vocabulary (`[MASK]`); none: there is no such token.
  virtual std::optional<int32_t> token_id(std::string_view /*token*/) const { return std::nullopt; }

  /// The files that make a checkpoint directory's tokenizer: name -> content.
  virtual std::map<std::string, std::string> files() const = 0;
};

/// What a tokenizer's factory may use.
struct TokenizerContext {
  std::string cache_dir;  // absolute; may not exist yet; "": nothing may be kept
  /// The files of a checkpoint that is opened, with what files() of the same tokenizer gave: to be
  /// read, not learned anew. Empty: there is none yet.
  std::map<std::string, std::string> files;
  /// Visits each text of the training data in order, for tokenizers that learn from it. Empty: the
  /// experiment's data cannot be read here.
  std::function<void(const std::function<void(std::string_view text)>& visit)> for_each_text;
  ReportProgress report_progress = no_progress;
};

}  // namespace triga
