#include "config/text_check.h"

#include <c10/util/StringUtil.h>

#include "base/utf8.h"
#include "config/yaml.h"
#include "triga/config_node.h"

namespace triga {
namespace {

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
  text = without_byte_order_mark(text);
  const size_t invalid = find_invalid_utf8(text).value_or(text.size());
  int line = has_lines ? 1 : 0;
  bool is_indentation = true;  // nothing but spaces so far in this line
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (i == invalid) throw error_at(name, line, "is not UTF-8 text; save the file as UTF-8");
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
  }
  return text;
}

}  // namespace triga
