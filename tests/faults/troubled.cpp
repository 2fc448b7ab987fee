// A plugin for tests: a dataset one of whose samples brings trouble to the rank that reads it, and
// a model whose layer hangs.
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
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
  std::string mark;
};

constexpr char kMarkHelp[] = "File that is made when it begins.";

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
  fields.field("mark", config.mark).help(kMarkHelp);
}

/// The time of the file is that of the trouble.
void begin_trouble(const std::string& mark) {
  if (!mark.empty() && !std::filesystem::exists(mark)) std::ofstream(mark) << "it begins\n";
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
    if (config_.trouble == Trouble::kFewer) begin_trouble(config_.mark);
    if (index == config_.sample && config_.trouble != Trouble::kNone) {
      begin_trouble(config_.mark);
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

struct StuckConfig {
  int64_t forward = 1;
  std::string mark;
};

void describe(Fields& fields, StuckConfig& config) {
  fields.field("forward", config.forward)
      .help("At which training pass through the layer rank 1 hangs, from 1.")
      .at_least(1);
  fields.field("mark", config.mark).help(kMarkHelp);
}

constexpr int64_t kWidth = 4;

class StuckLayer final : public Layer {
 public:
  explicit StuckLayer(const StuckConfig& config)
      : config_(config), weight_(parameter("weight", {kWidth}, Init::ones())) {}

  Activations forward(const Activations& /*inputs*/, LayerContext& context) override {
    if (context.training() && is_rank_1() && ++num_forwards_ == config_.forward) {
      begin_trouble(config_.mark);
      sleep_for_good();
    }
    return {{"x", context.batch()["x"].mul(weight_.tensor())}};
  }

 private:
  const StuckConfig config_;
  Parameter weight_;
  int64_t num_forwards_ = 0;
};

class Sum final : public Loss {
 public:
  double count(const Batch& batch, std::string_view /*name*/) const override {
    return static_cast<double>(batch.num_samples);
  }
  at::Tensor sum(const Activations& outputs, const Batch& /*batch*/) const override {
    return outputs["x"].sum();
  }
};

/// Takes any samples, and looks at none.
class Stuck final : public Architecture {
 public:
  explicit Stuck(const StuckConfig& config) : config_(config) {}

  std::vector<LayerSpec> layers() const override {
    return {{.name = "stuck",
             .build = [config = config_] { return std::make_unique<StuckLayer>(config); },
             .writes = {"x"}}};
  }
  std::unique_ptr<Loss> loss() const override { return std::make_unique<Sum>(); }
  Batch collate(const std::vector<Sample>& samples, const CollateContext&) const override {
    Batch batch;
    batch.num_samples = static_cast<int64_t>(samples.size());
    batch.fields = {{"x", at::ones({batch.num_samples, kWidth})}};
    return batch;
  }
  ModelDirectory model_directory() const override { return {}; }
  void check_compatible(const std::map<std::string, std::string>& /*files*/) const override {}

 private:
  const StuckConfig config_;
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
  registry.architectures.add<StuckConfig>(
      "stuck", "One layer, in which rank 1 hangs.",
      [](const StuckConfig& config, const ArchitectureContext&) {
        return std::make_unique<Stuck>(config);
      });
}
