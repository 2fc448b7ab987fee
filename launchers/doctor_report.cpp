#include "launchers/doctor_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

namespace triga {
namespace {

constexpr int kTopicWidth = 16, kLevelWidth = 8, kNarrowest = 40;

const char* word_of(Finding::Level level) {
  switch (level) {
    case Finding::Level::kOk:
      return "ok";
    case Finding::Level::kWarning:
      return "warning";
    case Finding::Level::kProblem:
      return "PROBLEM";
  }
  return "";
}

/// Lines of at most so many characters, broken between words.
std::vector<std::string> wrap(const std::string& text, int width) {
  std::vector<std::string> lines = {""};
  std::istringstream paragraphs(text);
  for (std::string paragraph; std::getline(paragraphs, paragraph);) {
    if (!lines.back().empty()) lines.emplace_back();
    std::istringstream words(paragraph);
    for (std::string word; words >> word;) {
      std::string& line = lines.back();
      if (line.empty())
        line = word;
      else if (static_cast<int>(line.size() + 1 + word.size()) <= width)
        line += " " + word;
      else
        lines.push_back(word);
    }
  }
  return lines;
}

}  // namespace

Finding ok(std::string topic, std::string text) {
  return {std::move(topic), std::move(text), Finding::Level::kOk, "", ExitStatus::kDone};
}

Finding warning(std::string topic, std::string text, std::string cure) {
  return {std::move(topic), std::move(text), Finding::Level::kWarning, std::move(cure),
          ExitStatus::kDone};
}

Finding problem(std::string topic, std::string text, std::string cure, ExitStatus status) {
  return {std::move(topic), std::move(text), Finding::Level::kProblem, std::move(cure), status};
}

void print_table(const std::vector<Finding>& findings, int columns, std::ostream& out) {
  const int width = std::max(kNarrowest, columns - kTopicWidth - kLevelWidth - 2);
  const std::string margin(kTopicWidth + kLevelWidth + 2, ' ');
  std::string last_topic;
  for (const Finding& finding : findings) {
    const bool is_new = finding.topic != last_topic;
    last_topic = finding.topic;
    const std::vector<std::string> lines = wrap(finding.text, width);
    out << fmt::format("{:<{}} {:<{}} {}\n", is_new ? finding.topic : "", kTopicWidth,
                       word_of(finding.level), kLevelWidth, lines[0]);
    for (size_t i = 1; i < lines.size(); ++i) out << margin << lines[i] << "\n";
    if (finding.cure.empty()) continue;
    const std::vector<std::string> cure = wrap("-> " + finding.cure, width - 3);
    for (size_t i = 0; i < cure.size(); ++i)
      out << margin << (i == 0 ? "" : "   ") << cure[i] << "\n";
  }
  const auto count = [&](Finding::Level level) {
    return std::count_if(findings.begin(), findings.end(),
                         [level](const Finding& finding) { return finding.level == level; });
  };
  const auto problems = count(Finding::Level::kProblem), warnings = count(Finding::Level::kWarning);
  if (problems + warnings == 0)
    out << "Nothing is wrong.\n";
  else
    out << fmt::format("{} problem{}, {} warning{}.\n", problems, problems == 1 ? "" : "s",
                       warnings, warnings == 1 ? "" : "s");
}

void print_json(const std::vector<Finding>& findings, std::ostream& out) {
  nlohmann::ordered_json json = {{"findings", nlohmann::ordered_json::array()},
                                 {"exit_status", static_cast<int>(exit_status(findings))}};
  for (const Finding& finding : findings)
    json["findings"].push_back(
        {{"topic", finding.topic},
         {"level", finding.level == Finding::Level::kProblem ? "problem" : word_of(finding.level)},
         {"text", finding.text},
         {"cure", finding.cure}});
  out << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

ExitStatus exit_status(const std::vector<Finding>& findings) {
  const auto first = std::find_if(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Finding::Level::kProblem;
  });
  return first == findings.end() ? ExitStatus::kDone : first->status;
}

}  // namespace triga
