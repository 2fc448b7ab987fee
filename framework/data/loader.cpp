// What the prefetch thread of a loader does: from a plan to batches.
#include "data/loader.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/foreign_errors.h"
#include "base/plugin_call.h"

namespace triga {
namespace {

std::string describe_samples(const std::vector<int64_t>& samples) {
  std::string text;
  for (size_t i = 0; i < samples.size() && i < 8; ++i)
    text += c10::str(i == 0 ? "" : ", ", samples[i]);
  if (samples.size() > 8) text += c10::str(" and ", samples.size() - 8, " more");
  return text;
}

/// Runs `f` and puts what it did before the message of whatever it throws. Lack of memory is not
/// the data's fault.
template <class F, class What>
auto with_place(const What& what, const F& f) {
  const auto run = [&] {
    try {
      return f();
    } catch (...) {
      rethrow_as_error();
    }
  };
  try {
    return run();
  } catch (const OutOfMemoryError& error) {
    throw OutOfMemoryError(c10::str(what(), ": ", error.what()));
  } catch (const Error& error) {
    throw DataError(c10::str(what(), ": ", error.what()));
  }
}

/// The options, and whose code is called.
struct Reader : LoaderOptions {
  explicit Reader(const LoaderOptions& options)
      : LoaderOptions(options),
        dataset_code(code_of("dataset", *options.dataset)),
        architecture_code(code_of("architecture", *options.architecture)) {}
  PluginCode dataset_code, architecture_code;
};

/// Requires: a plan with samples.
Batch make_batch(const Reader& options, const MicrobatchPlan& plan, bool training) {
  std::vector<Sample> samples;
  samples.reserve(plan.samples.size());
  for (int64_t index : plan.samples)
    samples.push_back(
        with_place([&] { return c10::str("data.", options.split, ": sample ", index); },
                   [&] {
                     return PluginCall("get", options.dataset_code).run([&] {
                       return options.dataset->get(index);
                     });
                   }));
  const CollateContext context{.first_position = plan.first_position,
                               .key = RandomKey(options.seed).with("collate").with(options.split),
                               .training = training};
  Batch batch = with_place(
      [&] {
        return c10::str("data.", options.split, ": batch of samples ",
                        describe_samples(plan.samples));
      },
      [&] {
        return PluginCall("collate", options.architecture_code).run([&] {
          return options.architecture->collate(samples, context);
        });
      });
  if (options.pin_memory)
    for (auto& [name, tensor] : batch.fields) tensor = tensor.pin_memory();
  batch.num_samples = static_cast<int64_t>(plan.samples.size());
  batch.microbatch = plan.microbatch;
  batch.first_position = plan.first_position;
  return batch;
}

/// Microbatch `i` of a rank's share, or an empty one when the share is shorter.
Batch make_shared_batch(const Reader& options, const StepPlan& plan, Share share, int64_t i,
                        bool training) {
  const int64_t index = share.begin + i;
  if (index < std::min(share.end, static_cast<int64_t>(plan.microbatches.size())))
    return make_batch(options, plan.microbatches[static_cast<size_t>(index)], training);
  Batch batch;
  batch.microbatch = static_cast<int64_t>(plan.microbatches.size());
  batch.first_position = plan.first_position + plan.num_samples;
  return batch;
}

struct RankShare {
  Share share;
  int64_t num_rounds;  // the largest share of any rank
};

/// `whole`: a step with all streams, where there are streams: they stay with their ranks in a shorter
/// one.
RankShare share_microbatches(const LoaderOptions& options, const StepPlan& plan,
                             const StepPlan& whole) {
  const StepPlan& shared = options.num_streams > 0 ? whole : plan;
  const auto count = static_cast<int64_t>(shared.microbatches.size());
  return {share_of_rank(count, options.rank, options.num_ranks),
          share_of_rank(count, 0, options.num_ranks).size()};
}

std::function<std::optional<Prefetcher::Item>()> training_steps(const LoaderOptions& options,
                                                                const BatchPlan& plan,
                                                                int64_t first_step,
                                                                std::optional<int64_t> end_step) {
  TRIGA_CHECK(options.dataset && options.architecture, "a loader without dataset or architecture");
  return [options = Reader(options), &plan, whole = plan.step(0), step = first_step,
          end_step]() mutable -> std::optional<Prefetcher::Item> {
    if (end_step && step >= *end_step) return std::nullopt;
    const StepPlan step_plan = plan.step(step++);
    const auto [share, num_rounds] = share_microbatches(options, step_plan, whole);
    Prefetcher::Item batches;
    for (int64_t i = 0; i < num_rounds; ++i)
      batches.push_back(make_shared_batch(options, step_plan, share, i, /*training=*/true));
    return batches;
  };
}

std::function<std::optional<Prefetcher::Item>()> evaluation_microbatches(
    const LoaderOptions& options, int64_t microbatch_size) {
  TRIGA_CHECK(options.dataset && options.architecture, "a loader without dataset or architecture");
  // One step of all samples; or, in streams, a step for each sample of the longest one.
  const bool in_streams = options.num_streams > 0;
  const int64_t samples = in_streams ? options.num_streams : options.dataset->size();
  const auto plan = std::make_shared<const BatchPlan>(
      *options.dataset, BatchPlanOptions{.shuffle = false,
                                         .in_streams = in_streams,
                                         .samples_per_step = samples,
                                         .microbatch_size = microbatch_size});
  return [options = Reader(options), plan, whole = plan->step(0), current = plan->step(0),
          step = int64_t{0}, i = int64_t{0}]() mutable -> std::optional<Prefetcher::Item> {
    const auto [share, num_rounds] = share_microbatches(options, current, whole);
    if (i >= num_rounds) {
      if (++step >= plan->steps_in_epochs(1)) return std::nullopt;
      current = plan->step(step);
      i = 0;
    }
    return Prefetcher::Item{make_shared_batch(options, current, share, i++, /*training=*/false)};
  };
}

}  // namespace

TrainLoader::TrainLoader(const LoaderOptions& options, const BatchPlan& plan, int64_t first_step,
                         std::optional<int64_t> end_step)
    : prefetcher_(training_steps(options, plan, first_step, end_step),
                  static_cast<size_t>(options.prefetch)) {}

std::vector<Batch> TrainLoader::next() {
  auto batches = prefetcher_.next();
  TRIGA_CHECK(batches, "a step after the last one");
  return std::move(*batches);
}

EvaluationLoader::EvaluationLoader(const LoaderOptions& options, int64_t microbatch_size)
    : prefetcher_(evaluation_microbatches(options, microbatch_size),
                  static_cast<size_t>(options.prefetch)) {}

std::optional<Batch> EvaluationLoader::next() {
  auto batches = prefetcher_.next();
  if (!batches) return std::nullopt;
  return std::move(batches->front());
}

}  // namespace triga
