#include "conformance/subject.h"

#include "base/plugin_call.h"

namespace triga::conformance {

Batch Subject::batch(const Architecture& model, int64_t first, int64_t count,
                     int64_t microbatch) const {
  std::vector<Sample> samples;
  for (int64_t i = first; i < first + count; ++i) samples.push_back(sample(i));
  CollateContext context;
  context.first_position = first;
  context.key = RandomKey(9);
  context.training = true;
  Batch batch = model.collate(samples, context);
  batch.microbatch = microbatch;
  return batch;
}

std::vector<Batch> Subject::batches(const Architecture& model) const {
  return {batch(model, 0, 3), batch(model, 3, 1, 1), batch(model, 4, 4, 2)};
}

Problems problems_of(const std::string& plugin, const std::function<Problems()>& find_problems) {
  try {
    return in_plugin(plugin, find_problems);
  } catch (const std::exception& error) {
    return {error.what()};
  }
}

}  // namespace triga::conformance
