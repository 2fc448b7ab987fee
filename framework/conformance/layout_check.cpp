#include "conformance/layout_check.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "comm/local_communicator.h"
#include "comm/process_grid.h"
#include "conformance/core_optimizer.h"
#include "parallel/strategy.h"

namespace triga::conformance {
namespace {

constexpr int64_t kSteps = 3, kMicrobatches = 5;
constexpr double kTolerance = 1e-4;  // of what differs by the order of sums alone

struct Layout {
  GridShape grid;
  int zero = 0;
  std::string name() const { return c10::str("dp ", grid.dp, ", pp ", grid.pp, ", zero ", zero); }
};

struct Outcome {
  std::map<std::string, double> evaluation;  // before the first step
  std::vector<double> losses, norms;
  std::map<std::string, at::Tensor> values;  // after the last step
};

/// What makes one of them: Subject::batch or Subject::evaluation_batch.
using MakeBatch = Batch (Subject::*)(const Architecture&, int64_t, int64_t, int64_t) const;

/// My microbatches of a step, of 1 to 3 samples each; the missing ones empty.
std::vector<Batch> share(const Subject& subject, MakeBatch make, const Architecture& model,
                         const ProcessGrid& grid, int64_t step) {
  const int64_t begin = kMicrobatches * grid.dp_rank() / grid.dp();
  const int64_t end = kMicrobatches * (grid.dp_rank() + 1) / grid.dp();
  std::vector<Batch> mine;
  for (int64_t i = begin; i < end; ++i)
    mine.push_back((subject.*make)(model, 10 * step + 2 * i, 1 + i % 3, i));
  mine.resize(static_cast<size_t>((kMicrobatches + grid.dp() - 1) / grid.dp()));
  return mine;
}

std::map<std::string, double> evaluate(const Subject& subject, const Architecture& model,
                                       const ProcessGrid& grid, Strategy& strategy) {
  const std::vector<Batch> batches = share(subject, &Subject::evaluation_batch, model, grid, 0);
  size_t next = 0;
  const EvaluationResult result = strategy.evaluate([&]() -> std::optional<Batch> {
    if (next == batches.size()) return std::nullopt;
    return batches[next++];
  });
  std::map<std::string, double> numbers = result.metrics;
  numbers["loss"] = result.loss.mean();
  return numbers;
}

Outcome train(Communicator& world, const Layout& layout, const Subject& subject) {
  const ProcessGrid grid(world, layout.grid);
  const auto model = subject.make();
  Strategy::Options options;
  options.seed = 11;
  options.zero = layout.zero;
  Strategy strategy(*model, Strategy::Groups{world, grid.data(), grid.pipeline()}, options,
                    core_optimizer("sgd"));
  strategy.parameters().initialize(11);
  Outcome outcome;
  outcome.evaluation = evaluate(subject, *model, grid, strategy);
  for (int64_t step = 0; step < kSteps; ++step) {
    outcome.losses.push_back(
        strategy.forward_backward(share(subject, &Subject::batch, *model, grid, step), step)
            .mean());
    outcome.norms.push_back(strategy.clip_gradients(1.0));
    strategy.update(0.02);
  }
  strategy.await_values();
  for (const Strategy::NamedTensor& tensor : strategy.collect_weights())
    outcome.values[tensor.name] = tensor.value.clone();
  return outcome;
}

/// What all ranks together have. Throws: what the first rank threw that did not only notice the
/// failure of another.
Outcome train_on_ranks(const Layout& layout, const Subject& subject) {
  auto worlds = make_local_communicators(layout.grid.dp * layout.grid.pp,
                                         {.deadline = std::chrono::minutes(2), .hosts = {}});
  std::vector<Outcome> outcomes(worlds.size());
  std::exception_ptr cause, noticed;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < worlds.size(); ++rank)
    threads.emplace_back([&, rank] {
      try {
        outcomes[rank] = train(*worlds[rank], layout, subject);
      } catch (const std::exception& error) {
        worlds[rank]->progress().mark_failed(error.what(), ExitStatus::kInternal);
        const std::lock_guard lock(mutex);
        auto& kept = dynamic_cast<const CommError*>(&error) != nullptr ? noticed : cause;
        if (!kept) kept = std::current_exception();
      }
      worlds[rank].reset();
    });
  for (std::thread& thread : threads) thread.join();
  if (cause) std::rethrow_exception(cause);
  if (noticed) std::rethrow_exception(noticed);
  Outcome all = outcomes[0];
  for (const Outcome& outcome : outcomes)
    all.values.insert(outcome.values.begin(), outcome.values.end());
  return all;
}

bool are_close(double a, double b) {
  if (std::isnan(a) && std::isnan(b)) return true;  // the business of another check
  return std::abs(a - b) <= kTolerance * std::max({std::abs(a), std::abs(b), 1e-2});
}

Problems differences(const Outcome& one, const Outcome& several, const std::string& layout) {
  Problems problems;
  const auto compare = [&](const std::string& what, double a, double b) {
    if (!are_close(a, b))
      problems.push_back(c10::str(what, ": ", a, " in one process, ", b, " on ", layout));
  };
  for (const auto& [name, value] : one.evaluation)
    compare(name + " of an evaluation", value, several.evaluation.at(name));
  for (size_t step = 0; step < one.losses.size(); ++step) {
    compare(c10::str("loss of step ", step), one.losses[step], several.losses[step]);
    compare(c10::str("gradient norm of step ", step), one.norms[step], several.norms[step]);
  }
  for (const auto& [name, value] : one.values) {
    const auto found = several.values.find(name);
    if (found == several.values.end())
      problems.push_back(c10::str("no rank of ", layout, " has ", name));
    else if (!at::allclose(value, found->second, 1e-3, 1e-5, /*equal_nan=*/true))
      problems.push_back(c10::str(name, " differs by up to ",
                                  (value - found->second).abs().max().item<float>(), " on ", layout,
                                  " after ", kSteps, " steps"));
  }
  return problems;
}

}  // namespace

Problems compare_layouts(const Subject& subject) {
  const size_t num_layers = subject.make()->layers().size();
  const Outcome one = train_on_ranks({{1, 1}, 0}, subject);
  std::vector<Layout> layouts = {{{2, 1}, 1}, {{3, 1}, 0}};
  if (num_layers > 1) {
    layouts.push_back({{1, 2}, 0});
    layouts.push_back({{2, 2}, 1});
  }
  Problems problems;
  for (const Layout& layout : layouts) {
    const Problems found = differences(one, train_on_ranks(layout, subject), layout.name());
    problems.insert(problems.end(), found.begin(), found.end());
    if (!problems.empty()) break;  // the other layouts would say the same
  }
  return problems;
}

}  // namespace triga::conformance
