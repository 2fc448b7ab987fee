#include "config/text_check.h"

#include <c10/util/StringUtil.h>

#include "config/yaml.h"
#include "triga/config_node.h"

namespace triga {
namespace {

/// Bytes of the UTF-8 character at the start of `text`; 0 when there is none (Unicode 15, table
/// 3-7).
size_t utf8_length(std::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const auto is_tail = [&byte](size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xBF; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return is_tail(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool is_overlong = first == 0xE0 && second < 0xA0;
    const bool is_surrogate = first == 0xED && second > 0x9F;
    return is_tail(1) && is_tail(2) && !is_overlong && !is_surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool is_overlong = first == 0xF0 && second < 0x90;
    const bool is_beyond = first == 0xF4 && second > 0x8F;
    return is_tail(1) && is_tail(2) && is_tail(3) && !is_overlong && !is_beyond ? 4 : 0;
  }
  return 0;
}

ConfigError error_at(const std::string& name, int line, const std::string& what,
                     SourcePlace place = SourcePlace::here()) {
  ConfigNode node;
  node.file = name;
  node.line = line;
  return config_error(node, what, place);
}

}  // namespace

std::string_view check_text(std::string_view text, const std::string& name, bool has_lines) {
  if (text.size() > YamlLimits::kBytes)
    throw error_at(
        name, 0,
        c10::str("has more than ", YamlLimits::kBytes, " bytes; this is no experiment file"));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  int line = has_lines ? 1 : 0;
  bool is_indentation = true;  // nothing but spaces so far in this line
  for (size_t i = 0; i < text.size();) {
    const size_t length = utf8_length(text.substr(i));
    const char c = text[i];
    if (length == 0) throw error_at(name, line, "is not UTF-8 text; save the file as UTF-8");
    if (c == '\t' && is_indentation)
      throw error_at(name, line, "a tab in the indentation; YAML needs spaces");
    const bool is_control =
        (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
    if (is_control)
      throw error_at(
          name, line,
          c10::str("control character ", static_cast<int>(c), " in the text; remove it"));
    if (c == '\n' && has_lines) ++line;
    is_indentation = c == '\n' || (is_indentation && c == ' ');
    i += length;
  }
  return text;
}

}  // namespace triga
