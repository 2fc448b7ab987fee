// How single values are read, strictly: a text is never taken for a number nor a number rounded,
// and each refusal says what to write instead.
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>

#include "base/absolute_path.h"
#include "config/scalar.h"
#include "config/vocabulary.h"
#include "config/yaml.h"
#include "triga/config.h"

namespace triga::detail {
namespace {

using Kind = ConfigNode::Kind;

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kNull:
      return "nothing";
    case Kind::kScalar:
      return "a single value";
    case Kind::kSequence:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
  }
  return "";
}

ConfigNode type_schema(std::string type) {
  auto schema = ConfigNode::make_mapping();
  schema.add("type", ConfigNode::make_scalar(std::move(type), true));
  return schema;
}

/// 1_000 and 1,000 as other languages write them; nothing when that is no number either.
std::optional<std::string> without_separators(const std::string& text) {
  std::string digits = text;
  std::erase_if(digits, [](char c) { return c == '_' || c == ','; });
  if (digits == text || !parse_number(digits)) return std::nullopt;
  return digits;
}

/// Refuses what is no number however it is read.
void expect_number(const ConfigNode& node, std::string_view expected) {
  expect_kind(node, Kind::kScalar, expected);
  if (node.quoted && parse_number(node.scalar))
    throw config_error(node, c10::str("\"", node.scalar, "\" in quotes is a text; write ",
                                      node.scalar, " without quotes"));
  if (auto digits = without_separators(node.scalar))
    throw config_error(node,
                       c10::str("'", node.scalar, "' is not ", expected, "; write ", *digits));
}

class BoolBinding final : public Binding {
 public:
  explicit BoolBinding(bool& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope&) override {
    expect_kind(node, Kind::kScalar, type_name());
    if (node.quoted || scalar_type(node.scalar) != ScalarType::kBool)
      throw config_error(node,
                         c10::str("'", node.scalar, "' is not true or false", cure(node.scalar)));
    value_ = node.scalar[0] == 't' || node.scalar[0] == 'T';
  }
  ConfigNode write() const override { return ConfigNode::make_scalar(value_ ? "true" : "false"); }
  ConfigNode schema() const override { return type_schema("boolean"); }
  std::string type_name() const override { return "true or false"; }

 private:
  static std::string cure(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (text == "yes" || text == "on" || text == "1" || text == "true") return "; write true";
    if (text == "no" || text == "off" || text == "0" || text == "false") return "; write false";
    return "";
  }
  bool& value_;
};

class IntegerBinding final : public Binding {
 public:
  explicit IntegerBinding(int64_t& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope&) override {
    expect_number(node, type_name());
    const auto type = node.quoted ? ScalarType::kString : scalar_type(node.scalar);
    if (type == ScalarType::kFloat) refuse_float(node);
    if (type != ScalarType::kInteger)
      throw config_error(node, c10::str("'", node.scalar, "' is not ", type_name()));
    const auto value = parse_integer(node.scalar);
    if (!value)
      throw config_error(node, c10::str(node.scalar, " does not fit into an integer of 64 bits"));
    value_ = *value;
  }
  ConfigNode write() const override { return ConfigNode::make_scalar(std::to_string(value_)); }
  ConfigNode schema() const override { return type_schema("integer"); }
  std::string type_name() const override { return "an integer"; }
  std::vector<double> numbers() const override { return {static_cast<double>(value_)}; }

 private:
  [[noreturn]] static void refuse_float(const ConfigNode& node) {
    const auto number = parse_number(node.scalar);
    std::string cure;
    if (number && std::abs(*number) < 1e15 && *number == std::floor(*number))
      cure = c10::str("; write ", static_cast<int64_t>(*number));
    throw config_error(node, c10::str(node.scalar, " is not an integer", cure));
  }
  int64_t& value_;
};

class NumberBinding final : public Binding {
 public:
  explicit NumberBinding(double& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope&) override {
    expect_number(node, type_name());
    const auto type = node.quoted ? ScalarType::kString : scalar_type(node.scalar);
    if (type != ScalarType::kFloat && type != ScalarType::kInteger)
      throw config_error(node, c10::str("'", node.scalar, "' is not ", type_name()));
    const auto value = parse_number(node.scalar);
    if (!value) throw config_error(node, c10::str(node.scalar, " is not a finite number"));
    value_ = *value;
  }
  ConfigNode write() const override { return ConfigNode::make_scalar(format_number(value_)); }
  ConfigNode schema() const override { return type_schema("number"); }
  std::string type_name() const override { return "a number"; }
  std::vector<double> numbers() const override { return {value_}; }

 private:
  double& value_;
};

class StringBinding final : public Binding {
 public:
  explicit StringBinding(std::string& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope&) override {
    expect_kind(node, Kind::kScalar, type_name());
    value_ = node.scalar;
  }
  ConfigNode write() const override { return ConfigNode::make_scalar(value_, true); }
  ConfigNode schema() const override { return type_schema("string"); }
  std::string type_name() const override { return "a text"; }

 private:
  std::string& value_;
};

class PathBinding final : public Binding {
 public:
  explicit PathBinding(ConfigPath& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope&) override {
    namespace fs = std::filesystem;
    expect_kind(node, Kind::kScalar, type_name());
    if (node.scalar.empty()) throw config_error(node, "is empty; expected a path");
    if (node.scalar.starts_with("~/"))
      throw config_error(node, c10::str("'~' is for the shell only; write ${env:HOME}",
                                        node.scalar.substr(1), " or an absolute path"));
    const fs::path folder = node.line > 0 ? fs::path(node.file).parent_path() : fs::path();
    value_.path = absolute_path(folder / node.scalar).string();
  }
  ConfigNode write() const override { return ConfigNode::make_scalar(value_.path, true); }
  ConfigNode schema() const override { return type_schema("string"); }
  std::string type_name() const override { return "a path"; }

 private:
  ConfigPath& value_;
};

class NodeBinding final : public Binding {
 public:
  explicit NodeBinding(ConfigNode& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope&) override { value_ = node; }
  ConfigNode write() const override { return value_; }
  ConfigNode schema() const override { return ConfigNode::make_mapping(); }
  std::string type_name() const override { return "anything"; }

 private:
  ConfigNode& value_;
};

class ChoiceBinding final : public Binding {
 public:
  ChoiceBinding(std::vector<std::string> words, std::function<size_t()> get,
                std::function<void(size_t)> set)
      : words_(std::move(words)), get_(std::move(get)), set_(std::move(set)) {}
  void read(const ConfigNode& node, const ConfigScope&) override {
    expect_kind(node, Kind::kScalar, type_name());
    const auto found = std::find(words_.begin(), words_.end(), node.scalar);
    if (found == words_.end()) throw config_error(node, unknown_word(node.scalar, words_));
    set_(static_cast<size_t>(found - words_.begin()));
  }
  ConfigNode write() const override { return ConfigNode::make_scalar(words_.at(get_()), true); }
  ConfigNode schema() const override {
    auto schema = type_schema("string");
    auto words = ConfigNode::make_sequence();
    for (const auto& word : words_) words.items.push_back(ConfigNode::make_scalar(word, true));
    schema.add("enum", std::move(words));
    return schema;
  }
  std::string type_name() const override { return "a word"; }

 private:
  std::vector<std::string> words_;
  std::function<size_t()> get_;
  std::function<void(size_t)> set_;
};

}  // namespace

/// The value as the only one of a list: ["nope.txt"], [0.9].
std::string as_list(const ConfigNode& value) {
  const bool is_text = value.quoted || scalar_type(value.scalar) == ScalarType::kString;
  std::string text = write_json(ConfigNode::make_scalar(value.scalar, is_text));
  while (text.ends_with('\n')) text.pop_back();
  return "[" + text + "]";
}

void expect_kind(const ConfigNode& node, Kind kind, std::string_view expected) {
  if (node.kind == kind) return;
  if (node.kind == Kind::kNull)
    throw config_error(node, c10::str("has no value; expected ", expected));
  if (node.kind == Kind::kScalar)
    throw config_error(node, c10::str("expected ", expected, ", got '", node.scalar, "'",
                                      kind == Kind::kSequence ? "; write " + as_list(node) : ""));
  throw config_error(node, c10::str("expected ", expected, ", got ", kind_name(node.kind)));
}

ConfigNode array_schema(ConfigNode items) {
  auto schema = type_schema("array");
  schema.add("items", std::move(items));
  return schema;
}

ConfigNode map_schema(ConfigNode values) {
  auto schema = type_schema("object");
  schema.add("additionalProperties", std::move(values));
  return schema;
}

std::unique_ptr<Binding> bind(bool& value) {
  return std::make_unique<BoolBinding>(value);
}
std::unique_ptr<Binding> bind(int64_t& value) {
  return std::make_unique<IntegerBinding>(value);
}
std::unique_ptr<Binding> bind(double& value) {
  return std::make_unique<NumberBinding>(value);
}
std::unique_ptr<Binding> bind(std::string& value) {
  return std::make_unique<StringBinding>(value);
}
std::unique_ptr<Binding> bind(ConfigPath& value) {
  return std::make_unique<PathBinding>(value);
}
std::unique_ptr<Binding> bind(ConfigNode& value) {
  return std::make_unique<NodeBinding>(value);
}
std::unique_ptr<Binding> bind_choice(std::vector<std::string> words, std::function<size_t()> get,
                                     std::function<void(size_t)> set) {
  return std::make_unique<ChoiceBinding>(std::move(words), std::move(get), std::move(set));
}

}  // namespace triga::detail
