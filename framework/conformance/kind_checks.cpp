#include "conformance/kind_checks.h"

#include <utility>

namespace triga::conformance {
namespace {

ConfigNode with(ConfigNode config, const std::string& key, ConfigNode value) {
  std::erase_if(config.entries, [&](const ConfigEntry& entry) { return entry.key == key; });
  value.path = key;  // as a reader of a file gives it
  config.add(key, std::move(value));
  return config;
}

bool has_type(const ConfigNode& schema, std::string_view type) {
  const ConfigNode* found = schema.find("type");
  return found != nullptr && found->scalar == type;
}

/// Whether a mapping is certainly not what the option takes.
bool is_of_scalars(const ConfigNode& schema) {
  for (const char* type : {"integer", "number", "boolean", "string", "array"})
    if (has_type(schema, type)) return true;
  return false;
}

bool is_number(const ConfigNode& schema) {
  return has_type(schema, "integer") || has_type(schema, "number");
}

/// Calls `visit` for each number that may stand in `value`, of lists for the first, with its path.
void for_each_number(
    const ConfigNode& schema, ConfigNode& value, const std::string& path,
    const std::function<void(ConfigNode& number, const std::string& path)>& visit) {
  if (is_number(schema)) return visit(value, path);
  if (const ConfigNode* choices = schema.find("anyOf"))  // or a word, or nothing
    return for_each_number(choices->items.at(0), value, path, visit);
  if (const ConfigNode* items = schema.find("items"); items != nullptr && !value.items.empty())
    for_each_number(*items, value.items[0], path + "[0]", visit);
  if (const ConfigNode* properties = schema.find("properties"))
    for (ConfigEntry& entry : value.entries)
      if (const ConfigNode* property = properties->find(entry.key))
        for_each_number(*property, entry.value, path.empty() ? entry.key : path + "." + entry.key,
                        visit);
}

/// What goes wrong with a config that has to be refused; nothing when it is, with `key` named.
std::optional<std::string> not_refused(const KindView& kind, const ConfigNode& config,
                                       const std::string& key, const std::string& what) {
  try {
    kind.resolve(config, {});
  } catch (const ConfigError& error) {
    const std::string_view text = error.what();
    if (text.find(key) != text.npos) return std::nullopt;
    return c10::str(what, " is refused without naming ", key, ": ", text);
  } catch (const std::exception& error) {
    return c10::str(what, " is refused with something that is no ConfigError: ", error.what());
  }
  return what + " is not refused";
}

}  // namespace

Problems check_description(const KindView& kind, const ConfigNode& config) {
  Problems problems;
  if (kind.help.empty()) problems.push_back("the kind has no help text");
  const ConfigNode schema = kind.schema();
  const ConfigNode* properties = schema.find("properties");
  if (properties == nullptr) return {"its config is no described struct"};
  for (const auto& [key, property] : properties->entries) {
    const ConfigNode* help = property.find("description");
    if (help == nullptr || help->scalar.empty()) problems.push_back(key + " has no help text");
  }
  const ConfigNode resolved = kind.resolve(config, {});
  const ConfigNode again = kind.resolve(resolved, {});
  if (resolved.entries.size() != properties->entries.size())
    problems.push_back("resolving does not name every option");
  for (const auto& [key, value] : resolved.entries) {
    const ConfigNode* same = again.find(key);
    if (same == nullptr || same->kind != value.kind || same->scalar != value.scalar)
      problems.push_back(key + " has another value when its resolved config is read");
  }
  return problems;
}

Problems check_refusals(
    const KindView& kind, const ConfigNode& config,
    const std::function<void(const ConfigNode& config, const std::string& tried)>& use) {
  constexpr const char *kUnknown = "no_such_option", *kNoNumber = "twelve";
  Problems problems;
  const auto expect_refused = [&](const ConfigNode& wrong, const std::string& key,
                                  const std::string& what) {
    if (auto problem = not_refused(kind, wrong, key, what)) problems.push_back(*problem);
  };
  expect_refused(with(config, kUnknown, ConfigNode::make_scalar("1")), kUnknown, "an unknown key");
  const ConfigNode schema = kind.schema();
  for (const auto& [key, property] : schema.find("properties")->entries) {
    if (is_of_scalars(property))
      expect_refused(with(config, key, ConfigNode::make_mapping()), key,
                     "a mapping as the value of " + key);
    if (property.find("enum") != nullptr || is_number(property))
      expect_refused(with(config, key, ConfigNode::make_scalar(kNoNumber)), key,
                     c10::str("'", kNoNumber, "' as the value of ", key));
  }
  ConfigNode whole = kind.resolve(config, {});
  for_each_number(schema, whole, "", [&](ConfigNode& number, const std::string& path) {
    for (const char* value : {"-1", "0"}) {
      const std::string tried = c10::str(path, ": ", value);
      const ConfigNode before =
          std::exchange(number, ConfigNode::make_scalar(value));  // in the whole
      number.path = before.path;
      try {
        use(kind.resolve(whole, {}), tried);
      } catch (const ConfigError&) {  // in words
      } catch (const DataError&) {
      } catch (const std::exception& error) {
        problems.push_back(
            c10::str(tried, " is not refused with a ConfigError, but ends in: ", error.what()));
      }
      number = before;
    }
  });
  return problems;
}

std::vector<std::string> required_options(const KindView& kind) {
  std::vector<std::string> names;
  const ConfigNode schema = kind.schema();
  if (const ConfigNode* required = schema.find("required"))
    for (const ConfigNode& name : required->items) names.push_back(name.scalar);
  return names;
}

}  // namespace triga::conformance
