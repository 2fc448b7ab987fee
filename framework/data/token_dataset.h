// Which file of tokens a dataset reads, for those who want to say where it lies.
#pragma once

#include <cstdint>
#include <optional>

#include "base/files.h"
#include "triga/dataset.h"

namespace triga {

struct TokensOnDisk {
  Path path;  // empty: in memory, since it could not be cached
  int64_t num_documents = 0, num_tokens = 0;
};

/// Nothing: the dataset was not made by make_token_dataset.
std::optional<TokensOnDisk> tokens_on_disk(const Dataset& dataset);

}  // namespace triga
