#include "metrics/gradient_log.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>

#include "triga/error.h"
#include "triga/log.h"

namespace triga {
namespace {

constexpr std::string_view kHeader = "step,name,place,norm\n";

struct TableLine {
  int64_t step = 0;
  std::string name;
  size_t place = 0;
  double norm = 0;
};

/// Nothing: it is no such line.
std::optional<TableLine> parse(const std::string& line) {
  std::istringstream fields(line);
  TableLine parsed;
  char comma = 0, next_comma = 0;
  std::string norm;
  fields >> parsed.step >> comma;
  std::getline(fields, parsed.name, ',');
  fields >> parsed.place >> next_comma >> norm;
  char* end = nullptr;
  parsed.norm = std::strtod(norm.c_str(), &end);
  const bool is_whole = !fields.fail() && comma == ',' && next_comma == ',' && !norm.empty() &&
                        end == norm.c_str() + norm.size();
  return is_whole ? std::optional(parsed) : std::nullopt;
}

/// What belongs to the run up to `last_step`; the header alone where there is nothing.
std::string kept_table(FileSystem& files, const Path& path, int64_t last_step) {
  std::string kept(kHeader);
  if (!exists(files, path)) return kept;
  const std::string text = read_text(files, path);
  for (size_t begin = text.find('\n') + 1; begin > 0 && begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) break;  // cut by a crash
    const std::string line = text.substr(begin, end - begin);
    const std::optional<TableLine> parsed = parse(line);
    if (parsed && parsed->step <= last_step) kept += line + "\n";
    begin = end + 1;
  }
  return kept;
}

/// Of a table that something else has changed: it is put aside, and another one begins.
std::vector<GradientPanel> panels_of(FileSystem& files, const Path& path, std::string& table) {
  try {
    return gradient_panels(table, path.string());
  } catch (const DataError& error) {
    const Path aside = path.string() + ".damaged";
    files.rename(path, aside);
    log_warning("metrics", error.what(), "; it is now ", aside.string(),
                ", and another one begins");
    table = kHeader;
    return {};
  }
}

/// Writes what is kept; gives the path.
std::string rewritten(FileSystem& files, const Path& path, const std::string& table) {
  atomic_write(files, path, table);
  return path.string();
}

GradientCurve& curve_of(std::vector<GradientPanel>& panels, const std::string& name, int64_t step) {
  GradientPanel* panel = nullptr;
  for (GradientPanel& one : panels)
    if (one.title == name) panel = &one;
  if (panel == nullptr) panel = &panels.emplace_back(GradientPanel{name, {}});
  if (panel->curves.empty() || panel->curves.back().step != step)
    panel->curves.push_back({step, {}});
  return panel->curves.back();
}

}  // namespace

std::vector<GradientPanel> gradient_panels(const std::string& table, const std::string& where) {
  if (!table.starts_with(kHeader))
    throw DataError(where + " is no table of gradients: it does not begin with " +
                    std::string(kHeader.substr(0, kHeader.size() - 1)));
  std::vector<GradientPanel> panels;
  std::istringstream lines(table.substr(kHeader.size()));
  int64_t number = 1;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::optional<TableLine> parsed = parse(line);
    GradientCurve* curve = parsed ? &curve_of(panels, parsed->name, parsed->step) : nullptr;
    if (curve == nullptr || curve->norms.size() != parsed->place)
      throw DataError(fmt::format("{}:{}: '{}' is no line of a table of gradients in its place",
                                  where, number, line));
    curve->norms.push_back(parsed->norm);
  }
  return panels;
}

GradientLog::GradientLog(FileSystem& files, GradientFiles paths, std::string title,
                         int64_t last_step)
    : files_(files),
      paths_(std::move(paths)),
      title_(std::move(title)),
      kept_(kept_table(files, paths_.table, last_step)),
      panels_(panels_of(files, paths_.table, kept_)),
      file_(rewritten(files, paths_.table, kept_)) {}

void GradientLog::record_gradients(int64_t step, const GradientNorms& norms) {
  std::string lines;
  for (const auto& [name, by_place] : norms) {
    curve_of(panels_, name, step).norms = by_place;
    for (size_t place = 0; place < by_place.size(); ++place)
      lines += fmt::format("{},{},{},{:.9g}\n", step, name, place, by_place[place]);
  }
  file_.append(lines);
  try {
    std::vector<GradientPanel> panels = panels_;
    for (GradientPanel& panel : panels) panel.title = title_ + ": " + panel.title;
    atomic_write(files_, paths_.plot, gradient_plot(panels));
  } catch (const FileError& error) {
    if (!std::exchange(has_failed_, true)) log_warning("metrics", error.what());
  }
}

}  // namespace triga
