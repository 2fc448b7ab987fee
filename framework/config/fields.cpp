// Fields: reading, writing and describing a struct from its description.
#include <c10/util/StringUtil.h>

#include <algorithm>

#include "config/vocabulary.h"
#include "triga/config.h"

namespace triga {

using Kind = ConfigNode::Kind;

namespace detail {

void ProblemList::add(const ConfigError& error) {
  problems_.insert(problems_.end(), error.problems.begin(), error.problems.end());
}

void ProblemList::throw_if_any() const {
  if (!problems_.empty()) throw ConfigError(problems_);
}

}  // namespace detail

Fields::Fields() = default;
Fields::~Fields() = default;

Field& Fields::add(std::string name, std::unique_ptr<detail::Binding> binding) {
  TRIGA_CHECK(find(name) == nullptr, "field '", name, "' is described twice");
  fields_.push_back(std::make_unique<Field>(std::move(name), std::move(binding)));
  return *fields_.back();
}

Field* Fields::find(std::string_view name) const {
  for (const auto& field : fields_)
    if (field->name_ == name) return field.get();
  return nullptr;
}

void Fields::rule(std::string name, std::function<std::optional<std::string>()> test,
                  SourcePlace place) {
  rules_.push_back({std::move(name), std::move(test), place});
}

void Fields::hint(std::vector<std::string> names, std::string answer) {
  for (auto& name : names) hints_.emplace_back(std::move(name), answer);
}

void Fields::read(const ConfigNode& node, const ConfigScope& scope) {
  if (node.kind != Kind::kNull)  // `eval:` with nothing below it is an empty mapping
    detail::expect_kind(node, Kind::kMapping, "a mapping");
  const ConfigScope inner{{}, scope.whole ? scope.whole : [this] { return schema(); }};
  std::vector<std::string> allowed = scope.other_keys;
  for (const auto& field : fields_) allowed.push_back(field->name_);

  detail::ProblemList problems;
  for (const auto& entry : node.entries) {
    if (Field* field = find(entry.key))
      problems.attempt([&] { field->read(entry.value, inner); });
    else if (std::find(allowed.begin(), allowed.end(), entry.key) == allowed.end())
      problems.add(unknown_key(entry.value, entry.key, allowed, schema(), inner.whole()));
  }
  for (const auto& field : fields_)
    if (field->required_ && node.find(field->name_) == nullptr)
      problems.add(ConfigError(c10::str(node.where(field->name_), ": is missing; expected ",
                                        field->binding_->type_name(), ". ", field->help_)));
  problems.throw_if_any();  // rules are about values that could be read

  for (const auto& rule : rules_)
    if (auto wrong = rule.test())
      problems.add(ConfigError(
          c10::str(rule.name.empty() ? node.where() : node.where(rule.name), ": ", *wrong),
          rule.place));
  problems.throw_if_any();
}

ConfigNode Fields::write() const {
  auto node = ConfigNode::make_mapping();
  for (const auto& field : fields_) node.add(field->name_, field->write());
  return node;
}

ConfigNode Fields::schema() const {
  auto properties = ConfigNode::make_mapping();
  auto required = ConfigNode::make_sequence();
  for (const auto& field : fields_) {
    properties.add(field->name_, field->schema());
    if (field->required_) required.items.push_back(ConfigNode::make_scalar(field->name_, true));
  }
  auto schema = ConfigNode::make_mapping();
  schema.add("type", ConfigNode::make_scalar("object", true));
  schema.add("properties", std::move(properties));
  if (!required.items.empty()) schema.add("required", std::move(required));
  schema.add("additionalProperties", ConfigNode::make_scalar("false"));
  if (!hints_.empty()) {
    auto hints = ConfigNode::make_mapping();
    for (const auto& [name, answer] : hints_)
      hints.add(name, ConfigNode::make_scalar(answer, true));
    schema.add("x-hints", std::move(hints));
  }
  return schema;
}

}  // namespace triga
