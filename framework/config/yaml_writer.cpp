// write_yaml: mappings a line a key; lists of single values on one line, others an item a line.
#include <algorithm>
#include <array>
#include <cctype>

#include "config/scalar.h"
#include "config/yaml.h"

namespace triga {
namespace {

using Kind = ConfigNode::Kind;

bool is_plain_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '/' ||
         c == '-' || c == '+';
}

/// True for words that every reader of YAML, also of version 1.1, takes for a text without quotes.
bool is_plain_text(const std::string& text) {
  static constexpr std::array<std::string_view, 6> kWordsOfYaml11 = {"yes", "no", "on",
                                                                     "off", "y",  "n"};
  if (text.empty() || scalar_type(text) != ScalarType::kString) return false;
  if (!std::isalpha(static_cast<unsigned char>(text[0])) && text[0] != '_' && text[0] != '/')
    return false;
  if (!std::all_of(text.begin(), text.end(), is_plain_character)) return false;
  std::string lower = text;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(kWordsOfYaml11.begin(), kWordsOfYaml11.end(), lower) == kWordsOfYaml11.end();
}

std::string quote(const std::string& text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      quoted += {'\\', c};
    else if (c == '\n')
      quoted += "\\n";
    else if (c == '\t')
      quoted += "\\t";
    else if (byte < 0x20 || byte == 0x7F)
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    else
      quoted += c;
  }
  return quoted + "\"";
}

std::string text_of(const std::string& text) {
  return is_plain_text(text) ? text : quote(text);
}

std::string scalar_of(const ConfigNode& node) {
  if (node.kind == Kind::kNull) return "null";
  const bool is_number_or_bool = !node.quoted && scalar_type(node.scalar) != ScalarType::kString &&
                                 scalar_type(node.scalar) != ScalarType::kNull;
  return is_number_or_bool ? node.scalar : text_of(node.scalar);
}

bool is_single(const ConfigNode& node) {
  return node.kind == Kind::kScalar || node.kind == Kind::kNull ||
         (node.kind == Kind::kSequence && node.items.empty()) ||
         (node.kind == Kind::kMapping && node.entries.empty());
}

/// Of single values and of lists of such.
std::string one_line(const ConfigNode& node) {
  if (node.kind == Kind::kMapping) return "{}";
  if (node.kind != Kind::kSequence) return scalar_of(node);
  std::string text;
  for (const auto& item : node.items) text += (text.empty() ? "" : ", ") + one_line(item);
  return "[" + text + "]";
}

bool fits_one_line(const ConfigNode& node) {
  return is_single(node) || (node.kind == Kind::kSequence &&
                             std::all_of(node.items.begin(), node.items.end(), is_single));
}

/// The lines of a mapping or list; the first one begins where the caller stands.
void write_lines(const ConfigNode& node, const std::string& indentation, std::string& text) {
  bool is_first = true;
  const auto begin_line = [&](const std::string& start) {
    text += (is_first ? "" : indentation) + start;
    is_first = false;
  };
  for (const auto& item : node.items) {
    begin_line("- ");
    if (fits_one_line(item))
      text += one_line(item) + "\n";
    else
      write_lines(item, indentation + "  ", text);
  }
  for (const auto& [key, value] : node.entries) {
    begin_line(text_of(key) + ":");
    if (fits_one_line(value)) {
      text += " " + one_line(value) + "\n";
    } else {
      text += "\n" + indentation + "  ";
      write_lines(value, indentation + "  ", text);
    }
  }
}

}  // namespace

std::string write_yaml(const ConfigNode& node) {
  if (fits_one_line(node)) return one_line(node) + "\n";
  std::string text;
  write_lines(node, "", text);
  return text;
}

}  // namespace triga
