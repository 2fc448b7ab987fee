// The RNN family.
#include "triga/plugin.h"

#include "rnn/adding_problem.h"
#include "rnn/classifier.h"
#include "rnn/forecaster.h"
#include "rnn/language_model.h"
#include "rnn/regressor.h"

TRIGA_PLUGIN(rnn, "0.1.0") {
  using namespace triga;       // NOLINT: of this function alone
  using namespace triga::rnn;  // NOLINT
  registry.architectures.add<LanguageModelConfig>(
      "rnn_language_model",
      "Language model of LSTM, GRU or simple recurrent layers (Zaremba et al. 2014), as "
      "torch.nn's.",
      [](const LanguageModelConfig& config,
         const ArchitectureContext& context) -> std::unique_ptr<Architecture> {
        return std::make_unique<LanguageModel>(config, context);
      });
  registry.architectures.add<ClassifierConfig>(
      "rnn_classifier",
      "Class of a sequence of tokens or of vectors, by LSTM, GRU or simple recurrent layers.",
      [](const ClassifierConfig& config,
         const ArchitectureContext& context) -> std::unique_ptr<Architecture> {
        return std::make_unique<Classifier>(config, context);
      });
  registry.architectures.add<RegressorConfig>(
      "rnn_regressor",
      "Real numbers for a sequence of tokens or of vectors, by LSTM, GRU or simple recurrent "
      "layers.",
      [](const RegressorConfig& config,
         const ArchitectureContext& context) -> std::unique_ptr<Architecture> {
        return std::make_unique<Regressor>(config, context);
      });
  registry.architectures.add<ForecasterConfig>(
      "rnn_forecaster",
      "Forecast of a multivariate time series by LSTM, GRU or simple recurrent layers.",
      [](const ForecasterConfig& config, const ArchitectureContext&)
          -> std::unique_ptr<Architecture> { return std::make_unique<Forecaster>(config); });
  registry.datasets.add<AddingProblemConfig>(
      "adding_problem",
      "Sequences that two marked numbers are to be added up from, far apart (Hochreiter and "
      "Schmidhuber 1997).",
      [](const AddingProblemConfig& config, const DatasetContext& context) {
        return make_adding_problem(config, context.split);
      });
}
