#include "data/series_kind.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>

#include "data/fingerprint.h"
#include "triga/series.h"

namespace triga {
namespace {

struct RowsConfig {
  int64_t from = 0;
  std::optional<int64_t> to;
};

void describe(Fields& fields, RowsConfig& config) {
  fields.field("from", config.from)
      .help("The first row; 0 is the one below the names.")
      .at_least(0);
  fields.field("to", config.to).help("The row after the last one.").at_least(1).empty_word("end");
  fields.rule("to", [&config]() -> std::optional<std::string> {
    if (!config.to || config.from < *config.to) return std::nullopt;
    return fmt::format("from: {} is not below to: {}; there would be no row", config.from,
                       *config.to);
  });
}

struct CsvSeriesConfig {
  ConfigPath file;
  std::vector<std::string> columns;
  RowsConfig rows;
  std::optional<RowsConfig> standardise;
  int64_t input_length = 96;
  std::optional<int64_t> horizon;  // empty: the model's
};

void describe(Fields& fields, CsvSeriesConfig& config) {
  fields.field("file", config.file)
      .help("CSV file: a line of names, then a row a line.")
      .required()
      .known_as({"path", "data_path", "csv"});
  fields.field("columns", config.columns)
      .help(
          "Names of the columns to read, in this order. Empty: all whose first value is a number.")
      .known_as({"features", "variables"});
  fields.field("rows", config.rows)
      .help(
          "Rows to forecast. What is read before a forecast may reach back before them, as in the "
          "papers on ETTh1.");
  fields.field("standardise", config.standardise)
      .help(
          "Rows whose mean and deviation each column is standardised with: those of the training "
          "part, in every split. Default: as the file has them.")
      .known_as({"scale", "normalize"});
  fields.field("input_length", config.input_length)
      .help("Rows that a forecast is made from.")
      .unit("rows")
      .at_least(1)
      .known_as({"seq_len", "lookback", "context_length"});
  fields.field("horizon", config.horizon)
      .help("Rows that are forecast at once. `model`: as many as the model forecasts.")
      .unit("rows")
      .at_least(1)
      .empty_word("model")
      .known_as({"pred_len", "prediction_length"});
}

/// Samples {"input": fp32 [input_length, C], "target": fp32 [horizon, C]}: one for each row that a
/// forecast can begin at.
class CsvSeries final : public Dataset {
 public:
  CsvSeries(const CsvSeriesConfig& config, int64_t horizon)
      : input_length_(config.input_length), horizon_(horizon) {
    const Series series = read_csv_series(config.file.path, config.columns);
    const int64_t num_rows = series.values.size(0);
    const auto end_of = [&](const RowsConfig& rows, const char* what) {
      const int64_t end = rows.to.value_or(num_rows);
      if (end > num_rows || rows.from >= end)
        throw DataError(fmt::format("{}: {} are rows {} to {}; there are {}", config.file.path,
                                    what, rows.from, end, num_rows));
      return end;
    };
    const int64_t end = end_of(config.rows, "`rows`");
    const int64_t num_columns = series.values.size(1);
    Standardisation by = {at::zeros({num_columns}, at::kDouble),
                          at::ones({num_columns}, at::kDouble)};
    if (config.standardise)
      by = standardisation_of(series.values, config.standardise->from,
                              end_of(*config.standardise, "`standardise`"));
    values_ = ((series.values - by.mean) / by.deviation).to(at::kFloat);
    reading_ = series_json({series.columns, by, input_length_});
    first_ = std::max(config.rows.from, input_length_);
    size_ = end - horizon_ - first_ + 1;
    if (size_ < 1)
      throw DataError(
          fmt::format("{}: rows {} to {} are too few for input_length {} and horizon {}",
                      config.file.path, config.rows.from, end, input_length_, horizon_));
  }

  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override {
    const int64_t row = first_ + index;
    return {{"input", values_.narrow(0, row - input_length_, input_length_)},
            {"target", values_.narrow(0, row, horizon_)}};
  }
  std::string fingerprint() const override {
    Fingerprint fingerprint;
    fingerprint.add("series");
    for (const int64_t number : {input_length_, horizon_, first_, size_}) fingerprint.add(number);
    fingerprint.add({static_cast<const char*>(values_.const_data_ptr()), values_.nbytes()});
    return fingerprint.text();
  }
  std::map<std::string, std::string> model_files() const override {
    return {{kSeriesFile, reading_}};
  }

 private:
  int64_t input_length_, horizon_;
  at::Tensor values_;    // fp32 [rows, C]
  std::string reading_;  // series.json
  int64_t first_ = 0, size_ = 0;
};

}  // namespace

void register_csv_series(Registry& registry) {
  registry.datasets.add<CsvSeriesConfig>(
      "csv_series", "Windows of a multivariate time series in a CSV file.",
      [](const CsvSeriesConfig& config, const DatasetContext& context) -> std::unique_ptr<Dataset> {
        const int64_t horizon = config.horizon.value_or(context.horizon);
        if (horizon == 0)
          throw ConfigError(
              "kind csv_series needs a horizon, and the model forecasts none: set it");
        return std::make_unique<CsvSeries>(config, horizon);
      });
}

}  // namespace triga
