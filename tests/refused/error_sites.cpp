#include "tests/refused/error_sites.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <regex>

namespace triga {
namespace {

namespace fs = std::filesystem;

/// Up to the parenthesis that closes the one at `open`.
std::string statement_from(const std::string& text, size_t begin, size_t open) {
  int depth = 0;
  for (size_t i = open; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')' && --depth == 0) return text.substr(begin, i + 1 - begin);
  }
  return text.substr(begin);
}

/// Hands on the place, or the problems, of another error.
bool passes_on(const std::string& statement) {
  return statement.ends_with("place)") || statement.find("std::move(") != std::string::npos;
}

void find_in(const fs::path& file, const std::string& name, std::vector<ErrorSite>& sites) {
  static const std::regex kSite(
      R"((throw\s+(builder\.)?(ConfigError|config_error|error_at)|problems\.add\(\s*config_error|return config_error|fields\.rule)\()");
  std::ifstream stream(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)), {});
  for (std::sregex_iterator match(text.begin(), text.end(), kSite), end; match != end; ++match) {
    const auto begin = static_cast<size_t>(match->position());
    const std::string statement = statement_from(text, begin, begin + match->length() - 1);
    if (passes_on(statement)) continue;
    const auto before = static_cast<std::ptrdiff_t>(begin);
    const auto line = 1 + static_cast<int>(std::count(text.begin(), text.begin() + before, '\n'));
    const auto height = static_cast<int>(std::count(statement.begin(), statement.end(), '\n'));
    sites.push_back({name, line, line + height, statement});
  }
}

}  // namespace

bool ErrorSite::contains(const SourcePlace& place) const {
  return std::string(place.file).ends_with(file) && first_line <= place.line &&
         place.line <= last_line;
}

std::vector<ErrorSite> find_error_sites(const fs::path& sources) {
  std::vector<fs::path> files;
  for (const char* folder : {"framework", "launchers", "plugins"})
    for (const auto& entry : fs::recursive_directory_iterator(sources / folder))
      if (entry.path().extension() == ".cpp") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  std::vector<ErrorSite> sites;
  for (const fs::path& file : files) find_in(file, fs::relative(file, sources).string(), sites);
  return sites;
}

}  // namespace triga
