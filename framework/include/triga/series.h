// Time series from CSV files.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace triga {

struct Series {
  std::vector<std::string> columns;
  at::Tensor values;  // fp64 [rows, columns]
};

/// A file whose first line names the columns, with commas between. `columns`: which, in this order;
/// empty: all whose first value is a number. Throws: DataError with file and line.
Series read_csv_series(const std::string& path, const std::vector<std::string>& columns);

/// Mean and standard deviation of each column, of rows [from, to): what a series is standardised
/// with. A column that does not change has a deviation of 1. fp64 [columns] each.
struct Standardisation {
  at::Tensor mean, deviation;
};
Standardisation standardisation_of(const at::Tensor& values, int64_t from, int64_t to);

}  // namespace triga
