// series.json: how a series was read in training, for who uses the model.
#include <ATen/ops/tensor.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "triga/error.h"
#include "triga/series.h"

namespace triga {
namespace {

using Json = nlohmann::ordered_json;

std::vector<double> numbers_of(const at::Tensor& values) {
  const double* first = values.const_data_ptr<double>();
  return {first, first + values.numel()};
}

}  // namespace

std::string series_json(const SeriesReading& reading) {
  const Json json = {{"columns", reading.columns},
                     {"mean", numbers_of(reading.by.mean)},
                     {"deviation", numbers_of(reading.by.deviation)},
                     {"input_length", reading.input_length}};
  return json.dump(2) + "\n";
}

std::optional<SeriesReading> series_reading_of(const std::map<std::string, std::string>& files) {
  const auto file = files.find(kSeriesFile);
  if (file == files.end()) return std::nullopt;
  SeriesReading reading;
  std::vector<double> mean, deviation;
  try {
    const Json json = Json::parse(file->second);
    json.at("columns").get_to(reading.columns);
    json.at("mean").get_to(mean);
    json.at("deviation").get_to(deviation);
    json.at("input_length").get_to(reading.input_length);
  } catch (const Json::exception& error) {
    throw CheckpointError(fmt::format("{}: {}", kSeriesFile, error.what()));
  }
  if (mean.size() != reading.columns.size() || deviation.size() != reading.columns.size())
    throw CheckpointError(fmt::format("{}: {} columns with {} means and {} deviations", kSeriesFile,
                                      reading.columns.size(), mean.size(), deviation.size()));
  if (reading.input_length < 1)
    throw CheckpointError(
        fmt::format("{}: an input_length of {}; at least 1", kSeriesFile, reading.input_length));
  reading.by = {at::tensor(mean, at::kDouble), at::tensor(deviation, at::kDouble)};
  return reading;
}

}  // namespace triga
