// Recurrent layers are one operation of LibTorch each, over all time steps and both directions. What
// they compute: tests/parity/rnn_language_model.py and its kin.
#include "rnn/recurrent.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>
#include <gmock/gmock.h>

#include <map>
#include <mutex>

#include "rnn/forecaster.h"
#include "rnn/regressor.h"
#include "tests/support/cut_model.h"

namespace triga::rnn {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

constexpr int64_t kLayers = 3, kTime = 9, kFeatures = 2;

/// The operators of recurrence that LibTorch is called with, on any thread: over all time steps
/// ("aten::gru") and of a single one ("aten::gru_cell").
class RecurrentCalls {
 public:
  RecurrentCalls() {
    counts().clear();
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(count).scopes(
        {at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION}));
  }
  ~RecurrentCalls() { at::removeCallback(handle_); }
  RecurrentCalls(const RecurrentCalls&) = delete;
  RecurrentCalls& operator=(const RecurrentCalls&) = delete;

  static std::map<std::string, int>& counts() {
    static std::map<std::string, int> counts;
    return counts;
  }

 private:
  static std::unique_ptr<at::ObserverContext> count(const at::RecordFunction& call) {
    static std::mutex mutex;
    const std::string name = call.name();
    const bool is_recurrence = name.ends_with("_cell") || name == "aten::lstm" ||
                               name == "aten::gru" || name == "aten::rnn_tanh" ||
                               name == "aten::rnn_relu";
    const std::scoped_lock lock(mutex);
    if (is_recurrence) ++counts()[name];
    return nullptr;
  }

  at::CallbackHandle handle_;
};

/// The calls of a step of training.
std::map<std::string, int> calls_of_a_step(const Architecture& architecture,
                                           const std::vector<Sample>& samples) {
  test::CutModel model(architecture, {});
  const Batch batch = architecture.collate(samples, {});
  const RecurrentCalls calls;
  model.train({batch}, /*carry_state=*/false);
  return RecurrentCalls::counts();
}

at::Tensor rows(int64_t count) {
  return at::arange(count * kFeatures, at::kFloat).view({count, kFeatures}) / 10;
}

TEST(RecurrentLayers, OfRowsOfOneLengthAreOneOperationEach) {
  for (const auto& [word, cell] : cell_words()) {
    ForecasterConfig config;
    config.cell = cell;
    config.num_layers = kLayers;
    config.num_features = kFeatures;
    config.hidden_size = 4;
    config.horizon = 2;
    const Sample sample = {{"input", rows(kTime)}, {"target", rows(2)}};
    EXPECT_THAT(calls_of_a_step(Forecaster(config), {sample, sample}),
                ElementsAre(Pair("aten::" + word, kLayers)));
  }
}

TEST(RecurrentLayers, OfPackedSequencesInBothDirectionsAreOneOperationEach) {
  for (const auto& [word, cell] : cell_words()) {
    RegressorConfig config;
    config.input = SequenceInput::kFeatures;
    config.cell = cell;
    config.num_layers = kLayers;
    config.num_features = kFeatures;
    config.hidden_size = 4;
    config.bidirectional = true;
    config.max_length = kTime;
    std::vector<Sample> samples;
    for (const int64_t length : {int64_t{3}, kTime, int64_t{1}})
      samples.push_back({{"features", rows(length)}, {"target", at::ones({config.num_targets})}});
    EXPECT_THAT(calls_of_a_step(Regressor(config, {}), samples),
                ElementsAre(Pair("aten::" + word, kLayers)));
  }
}

}  // namespace
}  // namespace triga::rnn
