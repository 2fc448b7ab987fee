// Time series from CSV files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace triga {

struct Series {
  std::vector<std::string> columns;
  at::Tensor values;  // fp64 [rows, columns]
};

/// A file whose first line names the columns, with commas between. `columns`: which, in this order;
/// empty: all whose first value is a number. Names are UTF-8; a byte order mark is left out. Throws:
/// DataError with file and line.
Series read_csv_series(const std::string& path, const std::vector<std::string>& columns);

/// Mean and standard deviation of each column, of rows [from, to): what a series is standardised
/// with. A column that does not change has a deviation of 1. fp64 [columns] each.
struct Standardisation {
  at::Tensor mean, deviation;
};
Standardisation standardisation_of(const at::Tensor& values, int64_t from, int64_t to);

/// How a series was read in training, as series.json of the model directory keeps it for forecasts.
struct SeriesReading {
  std::vector<std::string> columns;
  Standardisation by;        // not standardised: mean 0, deviation 1
  int64_t input_length = 0;  // rows
};
constexpr char kSeriesFile[] = "series.json";
/// To the last bit of every number.
std::string series_json(const SeriesReading& reading);
/// That of `files` (name -> content); nothing when there is none. Throws: CheckpointError when it
/// is no such file.
std::optional<SeriesReading> series_reading_of(const std::map<std::string, std::string>& files);

}  // namespace triga
