// A picture of forecasts beside what happened: SVG, a panel for each column.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace triga::rnn {

/// `actual`, `forecast`: fp64 [rows, columns]. `first_row`: number of their first row. `horizon`: a
/// mark stands where each forecast begins.
std::string forecast_plot(const std::vector<std::string>& columns, const at::Tensor& actual,
                          const at::Tensor& forecast, int64_t first_row, int64_t horizon);

}  // namespace triga::rnn
