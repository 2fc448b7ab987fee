#include "conformance/subject.h"

#include "base/plugin_call.h"

namespace triga::conformance {

namespace {

struct Range {
  int64_t first, count, microbatch;
};

Batch collate(const Subject& subject, const Architecture& model, const Range& range,
              bool training) {
  std::vector<Sample> samples;
  for (int64_t i = range.first; i < range.first + range.count; ++i)
    samples.push_back(subject.sample(i));
  CollateContext context;
  context.first_position = range.first;
  context.key = RandomKey(9);
  context.training = training;
  Batch batch = model.collate(samples, context);
  batch.microbatch = range.microbatch;
  return batch;
}

}  // namespace

Batch Subject::batch(const Architecture& model, int64_t first, int64_t count,
                     int64_t microbatch) const {
  return collate(*this, model, {first, count, microbatch}, /*training=*/true);
}

Batch Subject::evaluation_batch(const Architecture& model, int64_t first, int64_t count,
                                int64_t microbatch) const {
  return collate(*this, model, {first, count, microbatch}, /*training=*/false);
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
