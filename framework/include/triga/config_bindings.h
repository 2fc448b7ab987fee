// The templates behind `Fields::field`: bindings of described structs, optional, vector and map.
// Included by config.h only.
#pragma once

#include "triga/config.h"

namespace triga::detail {

void expect_kind(const ConfigNode& node, ConfigNode::Kind kind, std::string_view expected);
/// JSON Schema of a sequence or a mapping of values with this schema.
ConfigNode array_schema(ConfigNode items);
ConfigNode map_schema(ConfigNode values);

/// Collects the problems of several readings, so that a file is refused once, with all of them.
class ProblemList {
 public:
  template <class Action>
  void attempt(Action action) {
    try {
      action();
    } catch (const ConfigError& error) {
      add(error);
    }
  }
  void add(const ConfigError& error);
  /// So many that more would not help.
  bool is_full() const { return problems_.size() >= 20; }
  /// Throws: ConfigError with all problems in the order of the file, if there are any.
  void throw_if_any() const;

 private:
  std::vector<ConfigError::Problem> problems_;
};

/// What is inside another (an item of a list) has no keys in common with what the caller reads.
inline ConfigScope inner_scope(const ConfigScope& scope) {
  return {{}, scope.whole};
}

template <class T>
class StructBinding final : public Binding {
 public:
  explicit StructBinding(T& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope& scope) override {
    Fields fields;
    describe(fields, value_);
    fields.read(node, scope);
  }
  ConfigNode write() const override {
    Fields fields;
    describe(fields, value_);
    return fields.write();
  }
  ConfigNode schema() const override {
    Fields fields;
    describe(fields, value_);
    return fields.schema();
  }
  std::string type_name() const override { return "a mapping"; }

 private:
  T& value_;
};

template <class T>
class OptionalBinding final : public Binding {
 public:
  explicit OptionalBinding(std::optional<T>& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope& scope) override {
    if (node.kind == ConfigNode::Kind::kNull) {
      value_.reset();
      return;
    }
    T inner{};
    bind(inner)->read(node, scope);
    value_ = std::move(inner);
  }
  ConfigNode write() const override { return value_ ? bind(*value_)->write() : ConfigNode{}; }
  ConfigNode schema() const override {
    T inner{};
    return bind(inner)->schema();
  }
  std::string type_name() const override {
    T inner{};
    return bind(inner)->type_name();
  }
  bool is_optional() const override { return true; }
  std::vector<double> numbers() const override {
    return value_ ? bind(*value_)->numbers() : std::vector<double>();
  }

 private:
  std::optional<T>& value_;
};

template <class T>
class VectorBinding final : public Binding {
 public:
  explicit VectorBinding(std::vector<T>& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope& scope) override {
    expect_kind(node, ConfigNode::Kind::kSequence, type_name());
    value_.clear();
    ProblemList problems;
    for (const auto& item : node.items) {
      if (problems.is_full()) break;
      T inner{};
      problems.attempt([&] { bind(inner)->read(item, inner_scope(scope)); });
      value_.push_back(std::move(inner));
    }
    problems.throw_if_any();
  }
  ConfigNode write() const override {
    auto node = ConfigNode::make_sequence();
    for (T item : value_) node.items.push_back(bind(item)->write());
    return node;
  }
  ConfigNode schema() const override {
    T inner{};
    return array_schema(bind(inner)->schema());
  }
  std::string type_name() const override { return "a list"; }
  std::vector<double> numbers() const override {
    std::vector<double> all;
    for (T item : value_)
      for (double number : bind(item)->numbers()) all.push_back(number);
    return all;
  }

 private:
  std::vector<T>& value_;
};

template <class T>
class ListOrWordBinding final : public Binding {
 public:
  explicit ListOrWordBinding(ListOrWord<T>& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope& scope) override {
    value_ = {};
    if (node.kind == ConfigNode::Kind::kScalar)
      value_.word = node.scalar;
    else
      VectorBinding<T>(value_.list).read(node, scope);
  }
  ConfigNode write() const override {
    return value_.word.empty() ? VectorBinding<T>(value_.list).write()
                               : ConfigNode::make_scalar(value_.word, true);
  }
  ConfigNode schema() const override { return VectorBinding<T>(value_.list).schema(); }
  std::string type_name() const override { return "a list or a word"; }
  bool is_list_or_word() const override { return true; }
  std::vector<double> numbers() const override { return VectorBinding<T>(value_.list).numbers(); }

 private:
  ListOrWord<T>& value_;
};

template <class T>
class MapBinding final : public Binding {
 public:
  explicit MapBinding(std::map<std::string, T>& value) : value_(value) {}
  void read(const ConfigNode& node, const ConfigScope& scope) override {
    expect_kind(node, ConfigNode::Kind::kMapping, type_name());
    value_.clear();
    ProblemList problems;
    for (const auto& entry : node.entries) {
      if (problems.is_full()) break;
      T inner{};
      problems.attempt([&] { bind(inner)->read(entry.value, inner_scope(scope)); });
      value_.emplace(entry.key, std::move(inner));
    }
    problems.throw_if_any();
  }
  ConfigNode write() const override {
    auto node = ConfigNode::make_mapping();
    for (auto& [key, entry] : value_) node.add(key, bind(entry)->write());
    return node;
  }
  ConfigNode schema() const override {
    T inner{};
    return map_schema(bind(inner)->schema());
  }
  std::string type_name() const override { return "a mapping"; }

 private:
  std::map<std::string, T>& value_;
};

template <class T>
struct Binder {
  static std::unique_ptr<Binding> make(T& value) {
    return std::make_unique<StructBinding<T>>(value);
  }
};
template <class T>
struct Binder<std::optional<T>> {
  static std::unique_ptr<Binding> make(std::optional<T>& value) {
    return std::make_unique<OptionalBinding<T>>(value);
  }
};
template <class T>
struct Binder<std::vector<T>> {
  static std::unique_ptr<Binding> make(std::vector<T>& value) {
    return std::make_unique<VectorBinding<T>>(value);
  }
};
template <class T>
struct Binder<ListOrWord<T>> {
  static std::unique_ptr<Binding> make(ListOrWord<T>& value) {
    return std::make_unique<ListOrWordBinding<T>>(value);
  }
};
template <class T>
struct Binder<std::map<std::string, T>> {
  static std::unique_ptr<Binding> make(std::map<std::string, T>& value) {
    return std::make_unique<MapBinding<T>>(value);
  }
};

template <class T>
std::unique_ptr<Binding> bind(T& value) {
  return Binder<T>::make(value);
}

}  // namespace triga::detail
