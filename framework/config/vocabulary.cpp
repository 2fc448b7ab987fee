#include "config/vocabulary.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cctype>

namespace triga {
namespace {

constexpr size_t kLongestWordCompared =
    64;  // longer ones are no misspelt keys; keeps the comparison quadratic in little
constexpr size_t kMostPlacesNamed = 4;

/// "maxSteps", "max-steps" and "max_steps" are one.
std::string plain(std::string_view word) {
  std::string text;
  for (char c : word)
    if (c != '_' && c != '-')
      text += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Insertions, deletions, replacements and swaps of neighbours that turn a into b (Damerau 1964,
/// restricted).
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

std::string join_path(const std::string& path, const std::string& key) {
  return path.empty() ? key : path + "." + key;
}

/// Calls visit(schema, path) for a schema and those inside it; the path is that of the values it
/// describes.
template <class Visit>
void each_schema(const ConfigNode& schema, const std::string& path, const Visit& visit) {
  visit(schema, path);
  if (const auto* properties = schema.find("properties"))
    for (const auto& [name, value] : properties->entries)
      each_schema(value, join_path(path, name), visit);
  for (const auto* key : {"then", "items", "additionalProperties"})
    if (const auto* inner = schema.find(key)) each_schema(*inner, path, visit);
  for (const auto* key : {"allOf", "anyOf"})
    if (const auto* list = schema.find(key))
      for (const auto& inner : list->items) each_schema(inner, path, visit);
}

/// Where a key of this name is known; "" when nowhere, or in too many places to be of help.
std::string places_of(const std::string& key, const ConfigNode& schema, const std::string& path) {
  std::vector<std::string> places;
  each_schema(schema, path, [&](const ConfigNode& mapping, const std::string& at) {
    const auto* properties = mapping.find("properties");
    const auto place = join_path(at, key);
    if (properties != nullptr && properties->find(key) != nullptr &&
        std::find(places.begin(), places.end(), place) == places.end())
      places.push_back(place);
  });
  return places.size() <= kMostPlacesNamed ? join(places, " or ") : "";
}

std::string answer_for(const std::string& key, const std::string& path,
                       const std::vector<std::string>& allowed, const ConfigNode& own,
                       const ConfigNode& whole) {
  for (const auto& names : {foreign_names(own, path), foreign_names(whole, "")})
    for (const auto& [word, answer] : names)
      if (plain(word) == plain(key)) return answer;
  for (const auto& places : {places_of(key, own, path), places_of(key, whole, "")})
    if (!places.empty()) return "it belongs to " + places;
  const auto near = nearest(key, allowed);
  return near.empty() ? "" : "did you mean " + near + "?";
}

}  // namespace

std::vector<Hint> foreign_names(const ConfigNode& schema, const std::string& path) {
  std::vector<Hint> names;
  each_schema(schema, path, [&](const ConfigNode& described, const std::string& at) {
    if (const auto* words = described.find("x-known-as"))
      for (const auto& word : words->items) names.push_back({word.scalar, "Triga calls it " + at});
    if (const auto* hints = described.find("x-hints"))
      for (const auto& [word, answer] : hints->entries) names.push_back({word, answer.scalar});
  });
  return names;
}

ConfigError unknown_key(const ConfigNode& value, const std::string& key,
                        const std::vector<std::string>& allowed, const ConfigNode& own,
                        const ConfigNode& whole) {
  std::string mapping = value.path;  // without the key
  mapping.resize(mapping.size() > key.size() ? mapping.size() - key.size() - 1 : 0);
  std::string what = "unknown key";
  if (auto answer = answer_for(key, mapping, allowed, own, whole); !answer.empty())
    what += "; " + answer + (answer.back() == '?' ? "" : ".");
  else
    what += ".";
  what += allowed.empty() ? " No key is allowed here" : " Allowed here: " + join(allowed);
  return config_error(value, what);
}

std::string unknown_word(const std::string& word, const std::vector<std::string>& allowed) {
  auto text = c10::str("'", word, "' is not one of: ", join(allowed));
  if (auto near = nearest(word, allowed); !near.empty()) text += "; did you mean " + near + "?";
  return text;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const auto wanted = plain(word.substr(0, kLongestWordCompared));
  std::string best;
  size_t best_distance = std::max<size_t>(1, wanted.size() / 3) + 1;
  for (const auto& candidate : candidates) {
    const size_t distance = edit_distance(wanted, plain(candidate));
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

std::string join(const std::vector<std::string>& words, std::string_view separator) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : std::string(separator)) + word;
  return text;
}

}  // namespace triga
