#include "metrics/prometheus.h"

#include <fmt/format.h>

#include <cctype>
#include <cmath>
#include <utility>

#include "triga/log.h"

namespace triga {
namespace {

constexpr const char* kStep = "triga_step";
constexpr const char* kLastSavedStep = "triga_last_saved_step";
constexpr const char* kFailedSaves = "triga_failed_saves";

/// Letters, digits and '_' only: of "top-5" and "top_5" the same.
std::string plain_name(const std::string& name) {
  std::string safe = "triga_";
  for (const char c : name) safe += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  return safe;
}

std::string label_value(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '\\' || c == '"') safe += '\\';
    if (c == '\n')
      safe += "\\n";
    else
      safe += c;
  }
  return safe;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

PrometheusSink::PrometheusSink(int port, const std::string& run)
    : run_(label_value(run)),
      taken_{kStep, kLastSavedStep, kFailedSaves},
      endpoint_(port, "text/plain; version=0.0.4; charset=utf-8", [this] { return text(); }) {}

void PrometheusSink::record(const MetricRecord& record) {
  if (record.split == "gradients") return;
  for (const auto& entry : record.values) give_name(entry.first);
  const std::lock_guard lock(mutex_);
  for (const auto& [metric, value] : record.values)
    values_[names_.at(metric)][record.split.empty() ? "train" : record.split] = value;
}

void PrometheusSink::give_name(const std::string& metric) {
  if (names_.contains(metric)) return;
  const std::string plain = plain_name(metric);
  std::string name = plain;
  for (int number = 2; !taken_.insert(name).second; ++number)
    name = fmt::format("{}_{}", plain, number);
  if (name != plain)
    log_info("metrics", "'", metric, "' is served as ", name, ": ", plain, " is another one");
  names_[metric] = std::move(name);
}

void PrometheusSink::record_saves(const SaveRecord& saves) {
  const std::lock_guard lock(mutex_);
  saves_ = saves;
}

void PrometheusSink::step_done(int64_t step) {
  const std::lock_guard lock(mutex_);
  step_ = step;
}

std::string PrometheusSink::text() const {
  const std::lock_guard lock(mutex_);
  std::string text;
  const auto add = [&](const char* name, const char* help, int64_t value) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} gauge\n{0}{{run=\"{2}\"}} {3}\n", name, help,
                        run_, value);
  };
  add(kStep, "Optimizer steps done.", step_);
  add(kLastSavedStep, "Step of the newest checkpoint; 0: there is none.", saves_.last_saved_step);
  add(kFailedSaves, "Saves that failed since the run started or went back.", saves_.num_failed);
  for (const auto& [name, by_split] : values_) {
    text += fmt::format("# HELP {0} The newest value of the run.\n# TYPE {0} gauge\n", name);
    for (const auto& [split, value] : by_split)
      text += fmt::format("{}{{run=\"{}\",split=\"{}\"}} {}\n", name, run_, label_value(split),
                          number(value));
  }
  return text;
}

}  // namespace triga
