// Field: one key of a description, with its limits.
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "config/scalar.h"
#include "config/vocabulary.h"
#include "triga/config.h"

namespace triga {
namespace {

using Kind = ConfigNode::Kind;

ConfigNode words_node(const std::vector<std::string>& words) {
  auto list = ConfigNode::make_sequence();
  for (const auto& word : words) list.items.push_back(ConfigNode::make_scalar(word, true));
  return list;
}

ConfigNode* find_mutable(ConfigNode& node, std::string_view key) {
  for (auto& entry : node.entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

/// " steps", behind a 1 " step"; "" without a unit.
std::string unit_behind(const std::string& unit, double number) {
  if (unit.empty()) return "";
  return " " + (number == 1 && unit.ends_with('s') ? unit.substr(0, unit.size() - 1) : unit);
}

}  // namespace

Field::Field(std::string name, std::unique_ptr<detail::Binding> binding)
    : name_(std::move(name)), binding_(std::move(binding)) {}

Field& Field::help(std::string text) {
  help_ = std::move(text);
  return *this;
}
Field& Field::unit(std::string unit) {
  unit_ = std::move(unit);
  return *this;
}
Field& Field::at_least(double minimum) {
  minimum_ = minimum;
  minimum_exclusive_ = false;
  return *this;
}
Field& Field::above(double minimum) {
  minimum_ = minimum;
  minimum_exclusive_ = true;
  return *this;
}
Field& Field::at_most(double maximum) {
  maximum_ = maximum;
  maximum_exclusive_ = false;
  return *this;
}
Field& Field::below(double maximum) {
  maximum_ = maximum;
  maximum_exclusive_ = true;
  return *this;
}
Field& Field::one_of(std::vector<std::string> words) {
  words_ = std::move(words);
  return *this;
}
Field& Field::required() {
  required_ = true;
  return *this;
}
Field& Field::known_as(std::vector<std::string> names) {
  known_as_ = std::move(names);
  return *this;
}
Field& Field::empty_word(std::string word) {
  TRIGA_CHECK(binding_->is_optional(), "empty_word is for std::optional, and '", name_,
              "' is none");
  empty_word_ = std::move(word);
  return *this;
}

ConfigNode Field::with_known_words(ConfigNode node) const {
  for (auto& item : node.items) item = with_known_words(std::move(item));
  if (node.kind != Kind::kScalar) return node;
  const auto lower = [](std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
  };
  for (const auto& word : words_)
    if (lower(word) == lower(node.scalar)) node.scalar = word;
  return node;
}

void Field::read(const ConfigNode& given, const ConfigScope& scope) {
  const ConfigNode node = words_.empty() ? given : with_known_words(given);
  const bool is_empty_word =
      !empty_word_.empty() && node.kind == Kind::kScalar && node.scalar == empty_word_;
  if (is_empty_word) return binding_->read(ConfigNode{}, scope);
  try {
    binding_->read(node, scope);
  } catch (const ConfigError& error) {
    if (empty_word_.empty() || node.kind != Kind::kScalar) throw;
    auto problems = error.problems;
    for (auto& problem : problems) problem.message += c10::str(", nor the word ", empty_word_);
    throw ConfigError(std::move(problems));
  }
  check_words(node);
  check_range(node);
}

void Field::check_words(const ConfigNode& node) const {
  if (words_.empty() || (binding_->is_list_or_word() && node.kind != Kind::kScalar)) return;
  for (const auto& item : node.items) check_words(item);
  if (node.kind == Kind::kScalar &&
      std::find(words_.begin(), words_.end(), node.scalar) == words_.end())
    throw config_error(node, unknown_word(node.scalar, words_));
}

void Field::check_range(const ConfigNode& node) const {
  const double last = std::isfinite(maximum_) ? maximum_ : minimum_;  // of range_text
  for (double number : binding_->numbers()) {
    const bool is_low = minimum_exclusive_ ? number <= minimum_ : number < minimum_;
    const bool is_high = maximum_exclusive_ ? number >= maximum_ : number > maximum_;
    if (is_low || is_high)
      throw config_error(node, c10::str(format_number(number), " is out of range; allowed: ",
                                        range_text(), unit_behind(unit_, last)));
  }
}

std::string Field::range_text() const {
  std::vector<std::string> parts;
  if (std::isfinite(minimum_))
    parts.push_back(c10::str(minimum_exclusive_ ? "above " : "at least ", format_number(minimum_)));
  if (std::isfinite(maximum_))
    parts.push_back(c10::str(maximum_exclusive_ ? "below " : "at most ", format_number(maximum_)));
  return join(parts, " and ");
}

ConfigNode Field::write() const {
  auto node = binding_->write();
  if (node.kind == Kind::kNull && !empty_word_.empty())
    return ConfigNode::make_scalar(empty_word_, true);
  return node;
}

void Field::add_limits(ConfigNode& schema) const {
  if (ConfigNode* items = find_mutable(schema, "items")) return add_limits(*items);
  const auto number = [](double value) { return ConfigNode::make_scalar(format_number(value)); };
  if (std::isfinite(minimum_))
    schema.add(minimum_exclusive_ ? "exclusiveMinimum" : "minimum", number(minimum_));
  if (std::isfinite(maximum_))
    schema.add(maximum_exclusive_ ? "exclusiveMaximum" : "maximum", number(maximum_));
  if (!words_.empty() && !binding_->is_list_or_word()) schema.add("enum", words_node(words_));
}

/// `inner`, or one of `words`.
ConfigNode Field::or_words(ConfigNode inner, ConfigNode words) {
  auto others = ConfigNode::make_mapping();
  others.add("enum", std::move(words));
  auto schema = ConfigNode::make_mapping();
  schema.add("anyOf", ConfigNode::make_sequence());
  find_mutable(schema, "anyOf")->items = {std::move(inner), std::move(others)};
  return schema;
}

ConfigNode Field::schema() const {
  TRIGA_CHECK(!help_.empty(), "field '", name_, "' has no help");
  auto inner = binding_->schema();
  add_limits(inner);
  auto schema = inner;
  if (binding_->is_optional()) {
    auto words = ConfigNode::make_sequence();
    if (!empty_word_.empty()) words.items.push_back(ConfigNode::make_scalar(empty_word_, true));
    words.items.push_back(ConfigNode{});
    schema = or_words(std::move(inner), std::move(words));
  } else if (binding_->is_list_or_word()) {
    schema = or_words(std::move(inner), words_node(words_));
  }
  schema.add("description", ConfigNode::make_scalar(help_, true));
  if (!unit_.empty()) schema.add("x-unit", ConfigNode::make_scalar(unit_, true));
  if (!required_ && schema.find("properties") == nullptr) schema.add("default", write());
  if (!known_as_.empty()) schema.add("x-known-as", words_node(known_as_));
  return schema;
}

}  // namespace triga
