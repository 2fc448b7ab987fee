#include "conformance/kind_checks.h"

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

Problems check_refusals(const KindView& kind, const ConfigNode& config,
                        const std::function<void(const ConfigNode& config)>& use) {
  constexpr const char *kUnknown = "no_such_option", *kNoNumber = "twelve";
  Problems problems;
  const auto expect_refused = [&](const ConfigNode& wrong, const std::string& key,
                                  const std::string& what) {
    if (auto problem = not_refused(kind, wrong, key, what)) problems.push_back(*problem);
  };
  const auto what_happens = [&](const ConfigNode& questionable) -> std::optional<std::string> {
    try {
      use(kind.resolve(questionable, {}));
    } catch (const ConfigError&) {  // in words
    } catch (const DataError&) {    // of what it found where the option said
    } catch (const std::exception& error) {
      return error.what();
    }
    return std::nullopt;
  };
  expect_refused(with(config, kUnknown, ConfigNode::make_scalar("1")), kUnknown, "an unknown key");
  const ConfigNode schema = kind.schema();
  for (const auto& [key, property] : schema.find("properties")->entries) {
    if (is_of_scalars(property))
      expect_refused(with(config, key, ConfigNode::make_mapping()), key,
                     "a mapping as the value of " + key);
    const bool has_choices = property.find("enum") != nullptr;
    const bool is_number = has_type(property, "integer") || has_type(property, "number");
    if (has_choices || is_number)
      expect_refused(with(config, key, ConfigNode::make_scalar(kNoNumber)), key,
                     c10::str("'", kNoNumber, "' as the value of ", key));
    if (!is_number) continue;
    for (const char* number : {"-1", "0"})
      if (auto problem = what_happens(with(config, key, ConfigNode::make_scalar(number))))
        problems.push_back(c10::str(key, ": ", number, " is not refused with a ConfigError, but ",
                                    "ends in: ", *problem));
  }
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
