#include "common/vocabulary.h"

#include <c10/util/StringUtil.h>

#include "triga/error.h"

namespace triga::common {

void describe_vocab_size(Fields& fields, std::optional<int64_t>& vocab_size) {
  fields.field("vocab_size", vocab_size)
      .help(
          "Number of rows of the embedding; at least the tokenizer's vocabulary, which is the "
          "default.")
      .unit("tokens")
      .at_least(1)
      .empty_word("tokenizer")
      .known_as({"n_vocab", "padded_vocab_size", "num_embeddings", "ntoken"});
}

int64_t vocabulary_size(std::optional<int64_t> wanted, const Tokenizer* tokenizer) {
  if (!wanted && tokenizer == nullptr)
    throw ConfigError(
        "vocab_size is not known: give model.config.vocab_size, or a tokenizer (data.tokenizer)");
  if (tokenizer == nullptr) return *wanted;
  const int64_t needed = tokenizer->vocab_size();
  if (wanted && *wanted < needed)
    throw ConfigError(c10::str("vocab_size ", *wanted, " is less than the tokenizer's ", needed,
                               " tokens: leave it out, or give at least ", needed));
  return wanted.value_or(needed);
}

}  // namespace triga::common
