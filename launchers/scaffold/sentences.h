// The data: a text file as samples of one sentence each.
#pragma once

#include "triga/config.h"
#include "triga/dataset.h"

namespace triga::plugin_my_plugin {

struct SentencesConfig {
  enum class Part { kTrain, kHeldOut };
  ConfigPath file;
  Part part = Part::kTrain;
};

void describe(Fields& fields, SentencesConfig& config);

/// Samples {"tokens": int64 [n]}, as language models read them. Throws: DataError.
std::unique_ptr<Dataset> make_sentences(const SentencesConfig& config,
                                        const DatasetContext& context);

}  // namespace triga::plugin_my_plugin
