#include "tests/refused/case_file.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

namespace triga {
namespace {

/// The beginning of a message from "LINE: TEXT".
std::string expected_message(const std::string& path, const std::string& words) {
  const size_t colon = words.find(": ");
  const std::string line = words.substr(0, colon), text = words.substr(colon + 2);
  if (text.starts_with("--set")) return text;  // such messages begin with the argument
  return line == "-" ? path + ": " + text : path + ":" + line + ": " + text;
}

CaseFile read_case(const std::filesystem::path& path) {
  CaseFile result;
  result.path = path;
  std::ifstream file(path, std::ios::binary);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("#! ")) continue;
    const size_t space = line.find(' ', 3);
    const std::string directive = line.substr(3, space - 3), rest = line.substr(space + 1);
    if (directive == "set")
      result.overrides.push_back(rest);
    else if (directive == "ranks")
      result.num_ranks = std::stoi(rest);
    else if (directive == "expect")
      result.expected.push_back(expected_message(path.string(), rest));
    else
      throw std::runtime_error(path.string() + ": no directive: " + line);
  }
  return result;
}

}  // namespace

std::vector<CaseFile> read_cases(const std::filesystem::path& folder) {
  std::vector<CaseFile> cases;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".yaml") cases.push_back(read_case(entry.path()));
  std::sort(cases.begin(), cases.end(),
            [](const CaseFile& a, const CaseFile& b) { return a.path < b.path; });
  return cases;
}

}  // namespace triga
