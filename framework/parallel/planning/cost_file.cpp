#include "parallel/planning/cost_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "triga/error.h"

namespace triga {
namespace {

constexpr std::string_view kHeader =
    "layer,forward,backward,backward_input,backward_weight,update,kept_bytes,forward_peak_bytes,"
    "backward_peak_bytes,outputs";
constexpr size_t kNumColumns = 10;
constexpr std::string_view kBatchBytes = "batch_bytes";
constexpr std::string_view kTransfer = "transfer_bytes_per_second";
constexpr std::string_view kMeasuredWith = "measured_with";

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(separator, begin), text.size());
    parts.push_back(trim(text.substr(begin, end - begin)));
    begin = end + 1;
  }
  return parts;
}

/// Not negative, and finite.
std::optional<double> number_from(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) ||
      value < 0 || text.empty())
    return std::nullopt;
  return value;
}

class Reader {
 public:
  Reader(std::string_view text, std::string measured_with, std::string where)
      : measured_with_(std::move(measured_with)), where_(std::move(where)) {
    int line = 0;
    for (const std::string_view content : split(text, '\n')) {
      line_ = ++line;
      if (content.empty()) continue;
      if (content.starts_with('#'))
        read_value(trim(content.substr(1)));
      else if (content != kHeader)
        read_layer(content);
    }
  }

  LayerCosts costs_of(const std::vector<LayerSpec>& layers) {
    line_ = 0;
    for (const LayerSpec& spec : layers) {
      const auto found = layers_.find(spec.name);
      if (found == layers_.end()) {
        add_problem(fmt::format("has no line for the model's layer '{}'", spec.name));
        continue;
      }
      for (const std::string& name : spec.writes)
        if (!found->second.output_bytes.contains(name))
          add_problem(fmt::format("layer '{}': outputs have no '{}'", spec.name, name));
      costs_.layers.push_back(found->second);
      layers_.erase(found);
    }
    for (const auto& [name, cost] : layers_)
      add_problem(fmt::format("the model has no layer '{}'", name));
    if (!has_batch_bytes_) add_problem(fmt::format("has no {}", kBatchBytes));
    if (costs_.transfer_bytes_per_second <= 0)
      add_problem(fmt::format("{} must be above 0", kTransfer));
    if (!problems_.empty()) throw ConfigError(fmt::format("{}", fmt::join(problems_, "\n")));
    return std::move(costs_);
  }

 private:
  void add_problem(const std::string& problem) {
    constexpr size_t kMost = 20;
    if (problems_.size() == kMost) return;
    problems_.push_back(line_ > 0 ? fmt::format("{}:{}: {}", where_, line_, problem)
                                  : fmt::format("{}: {}", where_, problem));
  }

  /// "name: number" behind a '#'; anything else is a comment.
  void read_value(std::string_view content) {
    const size_t colon = content.find(':');
    if (colon == std::string_view::npos) return;
    const std::string_view name = trim(content.substr(0, colon));
    const std::string_view text = trim(content.substr(colon + 1));
    if (name == kMeasuredWith && text != measured_with_)
      add_problem(fmt::format("measured with {}; this experiment has {}", text, measured_with_));
    if (name != kBatchBytes && name != kTransfer) return;
    const std::optional<double> value = number_from(text);
    has_batch_bytes_ = has_batch_bytes_ || name == kBatchBytes;
    if (!value)
      add_problem(fmt::format("{}: expected a number of at least 0", name));
    else if (name == kBatchBytes)
      costs_.batch_bytes = static_cast<int64_t>(*value);
    else
      costs_.transfer_bytes_per_second = *value;
  }

  void read_layer(std::string_view content) {
    const std::vector<std::string_view> cells = split(content, ',');
    if (cells.size() != kNumColumns)
      return add_problem(
          fmt::format("{} values; expected {}: {}", cells.size(), kNumColumns, kHeader));
    LayerCost cost;
    cost.layer = cells[0];
    const auto number = [&](size_t column, auto& into) {
      if (const std::optional<double> value = number_from(cells[column]))
        into = static_cast<std::remove_reference_t<decltype(into)>>(*value);
      else
        add_problem(fmt::format("{}: '{}' is no number of at least 0", split(kHeader, ',')[column],
                                cells[column]));
    };
    number(1, cost.forward);
    number(2, cost.backward);
    number(3, cost.backward_input);
    number(4, cost.backward_weight);
    number(5, cost.update);
    number(6, cost.kept_bytes);
    number(7, cost.forward_peak_bytes);
    number(8, cost.backward_peak_bytes);
    for (const std::string_view output : split(cells[9], ' ')) {
      if (output.empty()) continue;
      const size_t equals = output.find('=');
      const std::optional<double> bytes =
          equals == std::string_view::npos ? std::nullopt : number_from(output.substr(equals + 1));
      if (bytes)
        cost.output_bytes[std::string(output.substr(0, equals))] = static_cast<int64_t>(*bytes);
      else
        add_problem(fmt::format("outputs: '{}' is not NAME=BYTES", output));
    }
    if (!layers_.emplace(cost.layer, cost).second)
      add_problem(fmt::format("layer '{}' for the second time", cost.layer));
  }

  const std::string measured_with_, where_;
  bool has_batch_bytes_ = false;
  int line_ = 0;  // 0: the whole file
  std::vector<std::string> problems_;
  LayerCosts costs_;
  std::map<std::string, LayerCost> layers_;
};

}  // namespace

std::string costs_to_text(const LayerCosts& costs, const std::string& measured_with) {
  std::string text = fmt::format("# {}: {}\n# {}: {}\n# {}: {:.4g}\n{}\n", kMeasuredWith,
                                 measured_with, kBatchBytes, costs.batch_bytes, kTransfer,
                                 costs.transfer_bytes_per_second, kHeader);
  for (const LayerCost& cost : costs.layers) {
    std::vector<std::string> outputs;
    for (const auto& [name, bytes] : cost.output_bytes)
      outputs.push_back(fmt::format("{}={}", name, bytes));
    text += fmt::format("{},{:.4g},{:.4g},{:.4g},{:.4g},{:.4g},{},{},{},{}\n", cost.layer,
                        cost.forward, cost.backward, cost.backward_input, cost.backward_weight,
                        cost.update, cost.kept_bytes, cost.forward_peak_bytes,
                        cost.backward_peak_bytes, fmt::join(outputs, " "));
  }
  return text;
}

LayerCosts costs_from_text(std::string_view text, const std::vector<LayerSpec>& layers,
                           const std::string& measured_with, const std::string& where) {
  return Reader(text, measured_with, where).costs_of(layers);
}

}  // namespace triga
