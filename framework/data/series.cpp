// Time series from CSV files (triga/series.h).
#include "triga/series.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/where.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/files.h"
#include "base/utf8.h"
#include "data/file_list.h"
#include "triga/error.h"

namespace triga {
namespace {

std::vector<std::string_view> cells_of(std::string_view line) {
  if (line.ends_with('\r')) line.remove_suffix(1);
  std::vector<std::string_view> cells;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(',', begin), line.size());
    cells.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return cells;
}

std::optional<double> number_in(std::string_view cell) {
  while (cell.starts_with(' ')) cell.remove_prefix(1);
  while (cell.ends_with(' ')) cell.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

/// Which cells of a line are wanted.
std::vector<size_t> wanted_cells(const std::vector<std::string_view>& names,
                                 const std::vector<std::string_view>& first_row,
                                 const std::vector<std::string>& columns, const std::string& path) {
  std::vector<size_t> wanted;
  for (const std::string& column : columns) {
    const auto found = std::find(names.begin(), names.end(), column);
    if (found == names.end())
      throw DataError(
          fmt::format("{}: no column '{}'; there are {}", path, column, fmt::join(names, ", ")));
    wanted.push_back(static_cast<size_t>(found - names.begin()));
  }
  if (columns.empty())
    for (size_t i = 0; i < std::min(names.size(), first_row.size()); ++i)
      if (number_in(first_row[i])) wanted.push_back(i);
  if (wanted.empty()) throw DataError(path + ": no column of numbers");
  return wanted;
}

}  // namespace

Series read_csv_series(const std::string& path, const std::vector<std::string>& columns) {
  require_file(path);
  std::string content;
  try {
    content = read_text(posix_files(), path);
  } catch (const FileError& error) {
    throw DataError(error.what());
  }
  const std::string_view text = without_byte_order_mark(content);
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  while (!lines.empty() && (lines.back().empty() || lines.back() == "\r")) lines.pop_back();
  if (lines.size() < 2)
    throw DataError(path + ": expected a line that names the columns, and rows of numbers");
  const std::vector<std::string_view> names = cells_of(lines[0]);
  const std::vector<size_t> wanted = wanted_cells(names, cells_of(lines[1]), columns, path);
  Series series;
  for (const size_t cell : wanted) {
    if (find_invalid_utf8(names[cell]))  // it is written into files of the model
      throw DataError(
          fmt::format("{}:1: the name of column {} is not UTF-8 text; convert the file "
                      "(iconv -t UTF-8)",
                      path, cell + 1));
    series.columns.emplace_back(names[cell]);
  }
  series.values = at::empty(
      {static_cast<int64_t>(lines.size()) - 1, static_cast<int64_t>(wanted.size())}, at::kDouble);
  double* next = series.values.mutable_data_ptr<double>();
  for (size_t row = 1; row < lines.size(); ++row) {
    const std::vector<std::string_view> cells = cells_of(lines[row]);
    for (const size_t cell : wanted) {
      const auto value = cell < cells.size() ? number_in(cells[cell]) : std::nullopt;
      if (!value)
        throw DataError(fmt::format("{}:{}: column '{}' is '{}'; expected a number", path, row + 1,
                                    names[cell], cell < cells.size() ? cells[cell] : ""));
      *next++ = *value;
    }
  }
  return series;
}

Standardisation standardisation_of(const at::Tensor& values, int64_t from, int64_t to) {
  const at::Tensor part = values.narrow(0, from, to - from);
  const at::Tensor mean = part.mean(0);
  const at::Tensor deviation = (part - mean).square().mean(0).sqrt();
  return {mean, at::where(deviation == 0, at::ones_like(deviation), deviation)};
}

}  // namespace triga
