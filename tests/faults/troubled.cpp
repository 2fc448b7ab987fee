// A plugin for tests: a dataset one of whose samples brings trouble to the rank that reads it.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "triga/plugin.h"

namespace triga {
namespace {

struct TroubledConfig {
  enum class Trouble { kNone, kSleep, kThrow, kMemory, kFewer, kSlowStart };
  Trouble trouble = Trouble::kNone;
  int64_t sample = 0;
  int64_t size = 64;
};

void describe(Fields& fields, TroubledConfig& config) {
  using Trouble = TroubledConfig::Trouble;
  fields
      .choice("trouble", config.trouble,
              {{"none", Trouble::kNone},
               {"sleep", Trouble::kSleep},
               {"throw", Trouble::kThrow},
               {"memory", Trouble::kMemory},
               {"fewer", Trouble::kFewer},
               {"slow_start", Trouble::kSlowStart}})
      .help(
          "What happens: none, sleep (for good), throw, memory (it takes all there is), fewer "
          "(rank 1 has fewer samples than the others), slow_start (rank 1 opens its data for ten "
          "seconds, as on a host whose cache of tokens is empty).");
  fields.field("sample", config.sample).help("At which sample.").at_least(0);
  fields.field("size", config.size).help("How many samples there are.").at_least(1);
}

[[noreturn]] void sleep_for_good() {
  while (true) std::this_thread::sleep_for(std::chrono::seconds(1));
}

[[noreturn]] void take_all_memory() {
  std::vector<at::Tensor> taken;
  while (true) taken.push_back(at::ones({4 << 20}));  // 16 MB, written to
}

/// Under mpirun.
bool is_rank_1() {
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  return rank != nullptr && std::string(rank) == "1";
}

class Troubled final : public Dataset {
 public:
  explicit Troubled(const TroubledConfig& config) : config_(config) {
    if (config_.trouble == TroubledConfig::Trouble::kSlowStart && is_rank_1())
      std::this_thread::sleep_for(std::chrono::seconds(10));
  }

  int64_t size() const override {
    const bool has_fewer = config_.trouble == TroubledConfig::Trouble::kFewer && is_rank_1();
    return has_fewer ? config_.size / 2 : config_.size;
  }
  Sample get(int64_t index) const override {
    using Trouble = TroubledConfig::Trouble;
    if (index == config_.sample) {
      if (config_.trouble == Trouble::kSleep) sleep_for_good();
      if (config_.trouble == Trouble::kThrow) throw DataError("the sample is broken");
      if (config_.trouble == Trouble::kMemory) take_all_memory();
    }
    return {{"tokens", at::full({length(index)}, index % 200 + 1, at::kLong)}};
  }
  int64_t length(int64_t index) const override { return 8 + index % 8; }
  std::string fingerprint() const override { return "troubled"; }

 private:
  const TroubledConfig config_;
};

}  // namespace
}  // namespace triga

TRIGA_PLUGIN(troubled, "0.1.0") {
  using namespace triga;
  registry.datasets.add<TroubledConfig>("troubled",
                                        "Samples of tokens, one of which brings trouble.",
                                        [](const TroubledConfig& config, const DatasetContext&) {
                                          return std::make_unique<Troubled>(config);
                                        });
}
