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
  if (problems_.empty()) return;
  auto sorted = problems_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.line < b.line; });
  throw ConfigError(std::move(sorted));
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

void Fields::rest(ConfigNode& others) {
  rest_ = &others;
}

void Fields::place(ConfigNode& place) {
  place_ = &place;
}

std::vector<std::string> Fields::names() const {
  std::vector<std::string> names;
  for (const auto& field : fields_) names.push_back(field->name_);
  return names;
}

void Fields::read(const ConfigNode& node, const ConfigScope& scope) {
  if (node.kind != Kind::kNull)  // `eval:` with nothing below it is an empty mapping
    detail::expect_kind(node, Kind::kMapping, "a mapping with keys such as " + join(names()));
  if (rest_ != nullptr) {
    *rest_ = node.place();
    rest_->kind = Kind::kMapping;
  }
  if (place_ != nullptr) *place_ = node.place();

  detail::ProblemList problems;
  read_entries(node, scope, problems);
  check_required(node, problems);
  problems.throw_if_any();
  check_rules(node);  // they are about values that could be read
}

void Fields::read_entries(const ConfigNode& node, const ConfigScope& scope,
                          detail::ProblemList& problems) {
  const ConfigScope inner{{}, scope.whole ? scope.whole : [this] { return schema(); }};
  auto allowed = scope.other_keys;
  for (const auto& name : names()) allowed.push_back(name);
  for (const auto& entry : node.entries) {
    if (problems.is_full()) return;
    if (Field* field = find(entry.key))
      problems.attempt([&] { field->read(entry.value, inner); });
    else if (std::find(allowed.begin(), allowed.end(), entry.key) != allowed.end())
      continue;
    else if (rest_ != nullptr)
      rest_->entries.push_back(entry);
    else
      problems.add(unknown_key(entry.value, entry.key, allowed, schema(), inner.whole()));
  }
}

void Fields::check_required(const ConfigNode& node, detail::ProblemList& problems) const {
  for (const auto& field : fields_)
    if (field->required_ && node.find(field->name_) == nullptr)
      problems.add(config_error(
          node.place_of(field->name_),
          c10::str("is missing; expected ", field->binding_->type_name(), ". ", field->help_)));
}

void Fields::check_rules(const ConfigNode& node) const {
  detail::ProblemList problems;
  for (const auto& rule : rules_)
    if (auto wrong = rule.test())
      problems.add(
          config_error(rule.name.empty() ? node : node.place_of(rule.name), *wrong, rule.place));
  problems.throw_if_any();
}

ConfigNode Fields::write() const {
  auto node = ConfigNode::make_mapping();
  for (const auto& field : fields_) node.add(field->name_, field->write());
  if (rest_ != nullptr)
    for (const auto& [key, value] : rest_->entries) node.add(key, value);
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
  if (rest_ == nullptr) schema.add("additionalProperties", ConfigNode::make_scalar("false"));
  if (!hints_.empty()) {
    auto hints = ConfigNode::make_mapping();
    for (const auto& [name, answer] : hints_)
      hints.add(name, ConfigNode::make_scalar(answer, true));
    schema.add("x-hints", std::move(hints));
  }
  return schema;
}

}  // namespace triga
