// ${data}, ${env:NAME} and $$.
#include <c10/util/StringUtil.h>

#include <filesystem>

#include "base/absolute_path.h"
#include "config/load.h"
#include "config/vocabulary.h"

namespace triga {
namespace {

std::string value_of(const std::string& variable, const ConfigNode& node,
                     const Variables& variables) {
  if (variable == "data") return absolute_path(variables.data_dir).string();
  if (!variable.starts_with("env:"))
    throw config_error(node, c10::str("unknown variable ${", variable,
                                      "}; there are ${data} and ${env:NAME}, and $$ is a plain $"));
  const auto name = variable.substr(4);
  const auto value = variables.environment ? variables.environment(name) : std::nullopt;
  if (!value)
    throw config_error(node,
                       c10::str("${", variable, "}: ", name,
                                " is not set in the environment; export it, or write the value"));
  return *value;
}

std::string expand(const ConfigNode& node, const Variables& variables) {
  const std::string& text = node.scalar;
  std::string expanded;
  for (size_t i = 0; i < text.size();) {
    const bool is_dollar = text[i] == '$' && i + 1 < text.size();
    if (is_dollar && text[i + 1] == '$') {
      expanded += '$';
      i += 2;
    } else if (is_dollar && text[i + 1] == '{') {
      const auto end = text.find('}', i);
      if (end == text.npos)
        throw config_error(node,
                           c10::str("'${' without '}' in '", text, "'; write $$ for a plain $"));
      expanded += value_of(text.substr(i + 2, end - i - 2), node, variables);
      i = end + 1;
    } else {
      expanded += text[i++];
    }
  }
  return expanded;
}

}  // namespace

void expand_variables(ConfigNode& node, const Variables& variables) {
  if (node.scalar.find('$') != std::string::npos) node.scalar = expand(node, variables);
  for (auto& item : node.items) expand_variables(item, variables);
  for (auto& entry : node.entries) expand_variables(entry.value, variables);
}

void escape_variables(ConfigNode& node) {
  std::string escaped;
  for (size_t i = 0; i < node.scalar.size(); ++i) {
    escaped += node.scalar[i];
    if (node.scalar[i] == '$') escaped += '$';
  }
  node.scalar = escaped;
  for (auto& item : node.items) escape_variables(item);
  for (auto& entry : node.entries) escape_variables(entry.value);
}

}  // namespace triga
