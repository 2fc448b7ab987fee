#include "parallel/pipeline/gradient_sums.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <sstream>

namespace triga {
namespace {

void add_to(std::vector<double>& sum, const std::vector<double>& values) {
  if (sum.size() < values.size()) sum.resize(values.size());
  for (size_t i = 0; i < values.size(); ++i) sum[i] += values[i];
}

/// A line a name; numbers to the last bit.
std::string to_text(const std::map<std::string, std::vector<double>>& sums) {
  std::string text;
  for (const auto& [name, values] : sums) {
    text += name;
    for (const double value : values) text += fmt::format("\t{:a}", value);
    text += '\n';
  }
  return text;
}

}  // namespace

void GradientSums::add(const std::string& layer, std::string_view name, const at::Tensor& squares) {
  const at::Tensor values = squares.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* first = values.const_data_ptr<double>();
  add_to(sums_[fmt::format("{}.{}", layer, name)], {first, first + values.numel()});
}

std::map<std::string, std::vector<double>> GradientSums::take_norms(Communicator& world) {
  std::map<std::string, std::vector<double>> norms;
  for (const std::string& text : world.all_gather_text(to_text(sums_), "gradients inside layers")) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      std::string name;
      std::getline(fields, name, '\t');
      std::vector<double> values;
      for (std::string value; std::getline(fields, value, '\t');)
        values.push_back(std::strtod(value.c_str(), nullptr));
      add_to(norms[name], values);
    }
  }
  for (auto& [name, values] : norms)
    for (double& value : values) value = std::sqrt(value);
  sums_.clear();
  return norms;
}

}  // namespace triga
