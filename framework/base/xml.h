// Text inside of XML, for the pictures that we draw (SVG).
#pragma once

#include <string>
#include <string_view>

namespace triga {

/// As the content of an element.
inline std::string xml_text(std::string_view text) {
  std::string result;
  for (const char c : text)
    result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return result;
}

}  // namespace triga
