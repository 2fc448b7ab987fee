#include "parallel/pipeline/schedule_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "base/xml.h"
#include "parallel/pipeline/schedule_check.h"
#include "triga/error.h"

namespace triga {
namespace {

using enum ActionKind;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::optional<ActionKind> kind_of(char letter) {
  switch (letter) {
    case 'F':
    case 'f':
      return kForward;
    case 'B':
    case 'b':
      return kBackward;
    case 'I':
    case 'i':
      return kBackwardInput;
    case 'W':
    case 'w':
      return kBackwardWeight;
    default:
      return std::nullopt;
  }
}

/// "12F3".
std::optional<Action> action_from(std::string_view cell) {
  constexpr int kMost = 1'000'000;
  Action action;
  const char* end = cell.data() + cell.size();
  const auto stage = std::from_chars(cell.data(), end, action.stage);
  if (stage.ec != std::errc() || stage.ptr == end) return std::nullopt;
  const auto kind = kind_of(*stage.ptr);
  const auto microbatch = std::from_chars(stage.ptr + 1, end, action.microbatch);
  if (!kind || microbatch.ec != std::errc() || microbatch.ptr != end || action.stage < 0 ||
      action.microbatch < 0 || action.stage > kMost || action.microbatch > kMost)
    return std::nullopt;
  action.kind = *kind;
  return action;
}

std::string join(const std::vector<std::string>& lines) {
  constexpr size_t kMost = 20;
  std::string text;
  for (size_t i = 0; i < std::min(kMost, lines.size()); ++i)
    text += (text.empty() ? "" : "\n") + lines[i];
  if (lines.size() > kMost) text += fmt::format("\n... and {} more", lines.size() - kMost);
  return text;
}

/// Whose each stage is: the rank that goes forward through it.
void set_ranks(Schedule& schedule, const std::string& where) {
  int num_stages = 0;
  for (const auto& actions : schedule.actions)
    for (const Action& action : actions) {
      num_stages = std::max(num_stages, action.stage + 1);
      schedule.num_microbatches = std::max(schedule.num_microbatches, action.microbatch + 1);
    }
  schedule.rank_of_stage.assign(static_cast<size_t>(num_stages), -1);
  for (size_t rank = 0; rank < schedule.actions.size(); ++rank)
    for (const Action& action : schedule.actions[rank]) {
      int& owner = schedule.rank_of_stage[static_cast<size_t>(action.stage)];
      if (owner < 0) owner = static_cast<int>(rank);
    }
  for (int stage = 0; stage < num_stages; ++stage)
    if (schedule.rank_of_stage[static_cast<size_t>(stage)] < 0)
      throw ConfigError(fmt::format("{}: no rank has stage {}, but there is a stage {}", where,
                                    stage, num_stages - 1));
}

std::string color(const Action& action) {
  const bool is_odd = action.stage % 2 == 1;
  switch (action.kind) {
    case kForward:
      return is_odd ? "#9ecae1" : "#6baed6";
    case kBackward:
      return is_odd ? "#a1d99b" : "#74c476";
    case kBackwardInput:
      return is_odd ? "#fdd0a2" : "#fdae6b";
    default:
      return is_odd ? "#dadaeb" : "#bcbddc";
  }
}

}  // namespace

Schedule schedule_from_csv(std::string_view text, const std::string& where) {
  Schedule schedule;
  schedule.name = where;
  std::vector<std::string> problems;
  int line_number = 0;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    std::vector<Action>& actions = schedule.actions.emplace_back();
    for (size_t cell_begin = 0; cell_begin <= line.size();) {
      const size_t cell_end = std::min(line.find(',', cell_begin), line.size());
      const std::string_view cell = trim(line.substr(cell_begin, cell_end - cell_begin));
      cell_begin = cell_end + 1;
      if (cell.empty()) continue;
      if (const auto action = action_from(cell))
        actions.push_back(*action);
      else
        problems.push_back(fmt::format(
            "{}:{}: '{}' is no action: stage, one of F, B, I, W, and microbatch, as in 0F12", where,
            line_number, cell));
    }
  }
  if (problems.empty() && schedule.actions.empty())
    problems.push_back(
        fmt::format("{}: no actions; a line a rank, as in 0F0, 0F1, 0B0, 0B1", where));
  if (!problems.empty()) throw ConfigError(join(problems));
  set_ranks(schedule, where);
  for (const std::string& problem : check_schedule(schedule))
    problems.push_back(fmt::format("{}: {}", where, problem));
  if (!problems.empty()) throw ConfigError(join(problems));
  return schedule;
}

std::string to_csv(const Schedule& schedule) {
  std::string text;
  for (const auto& actions : schedule.actions) {
    for (size_t i = 0; i < actions.size(); ++i)
      text += fmt::format("{}{}{}{}", i == 0 ? "" : ",", actions[i].stage, word(actions[i].kind),
                          actions[i].microbatch);
    text += '\n';
  }
  return text;
}

std::string to_grid(const Simulation& simulation, int columns) {
  double shortest = simulation.seconds;
  for (const auto& rank : simulation.ranks)
    for (const TimedAction& timed : rank)
      if (timed.end > timed.begin) shortest = std::min(shortest, timed.end - timed.begin);
  const double wanted =
      3 / std::max(shortest, 1e-12);  // characters a second: letter and two digits
  constexpr int kFrame = 10;          // "rank 12 |" and "|"
  const double scale =
      std::min(wanted, std::max(columns - kFrame, 1) / std::max(simulation.seconds, 1e-12));
  std::string text;
  for (size_t rank = 0; rank < simulation.ranks.size(); ++rank) {
    std::string line(static_cast<size_t>(std::lround(simulation.seconds * scale)), '.');
    for (const auto& [action, begin, end] : simulation.ranks[rank]) {
      const auto from = static_cast<size_t>(std::lround(begin * scale));
      const auto to = std::min(line.size(), static_cast<size_t>(std::lround(end * scale)));
      std::string label = fmt::format("{}{}", word(action.kind), action.microbatch);
      const auto num_ranks = static_cast<int>(simulation.ranks.size());
      if (action.stage / num_ranks % 2 == 1) label[0] = static_cast<char>(label[0] - 'A' + 'a');
      for (size_t i = from; i < to; ++i) line[i] = i - from < label.size() ? label[i - from] : '-';
    }
    text += fmt::format("rank {:<2} |{}|\n", rank, line);
  }
  return text;
}

std::string to_svg(const Simulation& simulation, const std::string& title) {
  constexpr double kRow = 28, kLeft = 64, kTop = 34, kWidth = 1000;
  const double scale = kWidth / std::max(simulation.seconds, 1e-12);
  const double bottom = kTop + kRow * static_cast<double>(simulation.ranks.size());
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{}\" y=\"20\" font-size=\"14\">{}: bubble {:.1f} %</text>\n",
      kLeft + kWidth + 10, bottom + 34, kLeft, xml_text(title), simulation.bubble() * 100);
  for (size_t rank = 0; rank < simulation.ranks.size(); ++rank) {
    const double y = kTop + kRow * static_cast<double>(rank);
    text += fmt::format("<text x=\"8\" y=\"{:.1f}\">rank {}</text>\n", y + 18, rank);
    for (const auto& [action, begin, end] : simulation.ranks[rank]) {
      const double x = kLeft + begin * scale, width = (end - begin) * scale;
      text += fmt::format(
          "<rect x=\"{:.2f}\" y=\"{:.1f}\" width=\"{:.2f}\" height=\"{:.1f}\" fill=\"{}\" "
          "stroke=\"white\"/>\n",
          x, y, width, kRow - 2, color(action));
      if (width >= 12)
        text += fmt::format("<text x=\"{:.2f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                            x + width / 2, y + 17, action.microbatch);
    }
  }
  double x = kLeft;
  for (const ActionKind kind : {kForward, kBackward, kBackwardInput, kBackwardWeight}) {
    const char* meaning = kind == kForward         ? "forward"
                          : kind == kBackward      ? "backward"
                          : kind == kBackwardInput ? "backward, inputs"
                                                   : "backward, weights";
    text += fmt::format(
        "<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"14\" height=\"14\" fill=\"{}\"/>"
        "<text x=\"{:.0f}\" y=\"{:.0f}\">{}</text>\n",
        x, bottom + 10, color({kind, 0, 0}), x + 20, bottom + 21, meaning);
    x += 150;
  }
  return text + "</svg>\n";
}

}  // namespace triga
