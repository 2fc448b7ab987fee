// A plugin for tests: a dataset one of whose samples brings trouble to the rank that reads it.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <chrono>
#include <thread>

#include "triga/plugin.h"

namespace triga {
namespace {

struct TroubledConfig {
  enum class Trouble { kNone, kSleep, kThrow, kMemory };
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
               {"memory", Trouble::kMemory}})
      .help("What happens: none, sleep (for good), throw, memory (it takes all there is).");
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

class Troubled final : public Dataset {
 public:
  explicit Troubled(const TroubledConfig& config) : config_(config) {}

  int64_t size() const override { return config_.size; }
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
