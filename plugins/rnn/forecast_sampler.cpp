#include "rnn/forecast_sampler.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <vector>

#include "rnn/forecast_plot.h"
#include "triga/config.h"
#include "triga/series.h"

namespace triga::rnn {
namespace {

std::vector<std::string> names_in(const std::string& list) {
  std::vector<std::string> names;
  std::istringstream stream(list);
  for (std::string name; std::getline(stream, name, ',');) names.push_back(name);
  return names;
}

std::string table_of(const std::vector<std::string>& columns, const at::Tensor& actual,
                     const at::Tensor& forecast, int64_t first_row) {
  std::string text = "row,column,actual,forecast\n";
  for (int64_t row = 0; row < actual.size(0); ++row)
    for (size_t i = 0; i < columns.size(); ++i) {
      const auto column = static_cast<int64_t>(i);
      char numbers[80];
      std::snprintf(numbers, sizeof numbers, ",%.9g,%.9g\n", actual[row][column].item<double>(),
                    forecast[row][column].item<double>());
      text += c10::str(first_row + row, ",", columns[i], numbers);
    }
  return text;
}

class ForecastSampler final : public Sampler {
 public:
  ForecastSampler(ForecastInputs inputs, int64_t num_features, int64_t horizon)
      : inputs_(std::move(inputs)), num_features_(num_features), horizon_(horizon) {}

  void generate(Predictor& predictor, const SamplerContext& context) override {
    const SeriesReading reading = reading_of_training(context);
    const Series series = read_csv_series(inputs_.file.path, reading.columns);
    if (series.values.size(1) != num_features_)
      throw DataError(c10::str(inputs_.file.path, ": ", series.values.size(1),
                               " columns; the model forecasts ", num_features_,
                               " (columns: names which)"));
    const int64_t num_rows = series.values.size(0);
    const int64_t input_length = reading.input_length;
    const int64_t first = std::max(inputs_.from, input_length);
    const int64_t end = std::min(inputs_.to.value_or(num_rows), num_rows);
    const int64_t count = (end - first) / horizon_;
    if (count < 1)
      throw DataError(c10::str(inputs_.file.path, ": between rows ", first, " and ", end,
                               " is no place for a forecast of ", horizon_, " rows (the file has ",
                               num_rows, "; input_length ", input_length, ")"));
    const Standardisation by = is_standardised_here() ? standardisation(series) : reading.by;
    const at::Tensor values = ((series.values - by.mean) / by.deviation).to(at::kFloat);
    std::vector<at::Tensor> forecasts;
    for (int64_t i = 0; i < count; ++i) {
      context.report_progress("forecasts", i, count);
      const int64_t row = first + i * horizon_;
      forecasts.push_back(forecast(predictor, values.narrow(0, row - input_length, input_length)));
    }
    const at::Tensor all = at::cat(forecasts).to(at::kDouble) * by.deviation + by.mean;
    const at::Tensor actual = series.values.narrow(0, first, count * horizon_);
    context.save("forecast.csv", table_of(series.columns, actual, all, first));
    context.save("forecast.svg", forecast_plot(series.columns, actual, all, first, horizon_));
    const at::Tensor error = (all - actual) / by.deviation;
    context.print(c10::str(count, count == 1 ? " forecast" : " forecasts", " of ", horizon_,
                           " rows: mse ", error.square().mean().item<double>(), ", mae ",
                           error.abs().mean().item<double>(), "\n"));
  }

 private:
  bool is_standardised_here() const { return inputs_.standardise_from || inputs_.standardise_to; }

  /// What series.json says, but for what the inputs say.
  SeriesReading reading_of_training(const SamplerContext& context) const {
    const std::optional<SeriesReading> stored = series_reading_of(context.files);
    std::string missing;
    if (inputs_.columns.empty()) missing += " --input columns=NAME,NAME";
    if (!inputs_.input_length) missing += " --input input_length=ROWS";
    if (!is_standardised_here()) missing += " --input standardise_to=ROW (0: not standardised)";
    if (!stored && !missing.empty())
      throw ConfigError(c10::str(
          "the model directory has no ", kSeriesFile,
          ", which says how the series was read in training; give it as it was:", missing));
    SeriesReading reading = stored.value_or(SeriesReading{});
    if (!inputs_.columns.empty()) {
      const std::vector<std::string> columns = names_in(inputs_.columns);
      check_order(columns, reading.columns);
      reading.columns = columns;
    }
    reading.input_length = inputs_.input_length.value_or(reading.input_length);
    return reading;
  }

  /// Columns may have other names in this file, but each has its place.
  static void check_order(const std::vector<std::string>& given,
                          const std::vector<std::string>& trained) {
    for (size_t i = 0; i < given.size(); ++i) {
      const auto place = std::find(trained.begin(), trained.end(), given[i]);
      if (place != trained.end() && place - trained.begin() != static_cast<ptrdiff_t>(i))
        throw ConfigError(c10::str("columns: ", c10::Join(",", given),
                                   ", but the model was trained on ", c10::Join(",", trained),
                                   ", in this order"));
    }
  }

  Standardisation standardisation(const Series& series) const {
    if (inputs_.standardise_to == 0)
      return {at::zeros({num_features_}, at::kDouble), at::ones({num_features_}, at::kDouble)};
    const int64_t num_rows = series.values.size(0);
    const int64_t from = inputs_.standardise_from.value_or(0);
    const int64_t to = inputs_.standardise_to.value_or(num_rows);
    if (from >= to || to > num_rows)
      throw DataError(c10::str(inputs_.file.path, ": standardise_from ", from, " to ", to,
                               " are no rows of it; there are ", num_rows));
    return standardisation_of(series.values, from, to);
  }

  /// Of the rows behind `before` [rows, C]: [horizon, C].
  static at::Tensor forecast(Predictor& predictor, const at::Tensor& before) {
    Batch batch;
    batch.num_samples = 1;
    batch.fields = {{"input", before.unsqueeze(0)}};
    return predictor.predict(batch, nullptr)["forecast"].to(at::kCPU, at::kFloat)[0];
  }

  ForecastInputs inputs_;
  int64_t num_features_, horizon_;
};

}  // namespace

void describe(Fields& fields, ForecastInputs& inputs) {
  fields.field("file", inputs.file).help("CSV file with the series.").required();
  fields.field("columns", inputs.columns)
      .help("Names of the columns in the order of training, commas between. Empty: training's.");
  fields.field("from", inputs.from).help("The first row to forecast.").unit("rows").at_least(0);
  fields.field("to", inputs.to)
      .help("The row after the last one to forecast.")
      .unit("rows")
      .at_least(1)
      .empty_word("end");
  fields.field("input_length", inputs.input_length)
      .help("Rows that a forecast is made from: as in training.")
      .unit("rows")
      .at_least(1)
      .empty_word("training");
  fields.field("standardise_from", inputs.standardise_from)
      .help(
          "First row of those in the file to standardise with. Without it and standardise_to: "
          "means and deviations of training.")
      .at_least(0)
      .empty_word("training");
  fields.field("standardise_to", inputs.standardise_to)
      .help("The row after the last one of them; 0: the series is not standardised.")
      .at_least(0)
      .empty_word("training");
}

SamplerKind forecast_sampler(int64_t num_features, int64_t horizon) {
  return sampler_kind<ForecastInputs>([=](const ForecastInputs& inputs) {
    return std::make_unique<ForecastSampler>(inputs, num_features, horizon);
  });
}

}  // namespace triga::rnn
