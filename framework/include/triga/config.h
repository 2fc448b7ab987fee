// Config: a struct with defaults beside its fields, and one function that describes each field.
// From that one description come parsing, errors with file, line and key, ranges, hints, the JSON
// Schema, the reference page, and resolved.yaml.
//
//   struct AdamWConfig {
//     double epsilon = 1e-8;
//     double weight_decay = 0.01;
//     std::vector<double> betas = {0.9, 0.999};
//   };
//   void describe(Fields& fields, AdamWConfig& config) {  // beside the struct, in its namespace
//     fields.field("epsilon", config.epsilon).help("Added to the denominator.").above(0);
//     fields.field("weight_decay", config.weight_decay)
//         .help("Decoupled weight decay.").at_least(0).known_as({"wd"});
//     fields.field("betas", config.betas)
//         .help("Decay of the two running averages.").at_least(0).below(1);
//     fields.rule("betas", [&config]() -> std::optional<std::string> {
//       if (config.betas.size() == 2) return std::nullopt;
//       return "expected two numbers";
//     });
//   }
//
// Types of fields: bool, int64_t, double, std::string, ConfigPath, an enum (through `choice`), any
// described struct, ConfigNode (kept as it is), and std::optional, std::vector, ListOrWord,
// std::map<std::string, T> of these.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "triga/config_node.h"
#include "triga/error.h"

namespace triga {

/// What the reader of a part of a file is told of the rest, so that its errors can name what stands
/// elsewhere. The default is right for a whole file.
struct ConfigScope {
  std::vector<std::string> other_keys;  // allowed in the same mapping, and read by the caller
  std::function<ConfigNode()> whole;    // JSON Schema of the file that the part is of
};

/// A list, or a word in its place (`partition: auto`); the words are those of Field::one_of.
template <class T>
struct ListOrWord {
  std::vector<T> list = {};
  std::string word = {};  // "": the list
};

namespace detail {

class ProblemList;

/// How one field is read, written and put into a schema; made for the field's type by `bind`.
class Binding {
 public:
  virtual ~Binding() = default;
  virtual void read(const ConfigNode& node, const ConfigScope& scope) = 0;  // throws ConfigError
  virtual ConfigNode write() const = 0;                                     // the value now
  virtual ConfigNode schema() const = 0;      // JSON Schema, values now as defaults
  virtual std::string type_name() const = 0;  // for messages: "an integer"
  virtual bool is_optional() const { return false; }
  virtual bool is_list_or_word() const { return false; }
  virtual std::vector<double> numbers() const { return {}; }  // those now in it, for ranges
};

template <class T>
std::unique_ptr<Binding> bind(T& value);
std::unique_ptr<Binding> bind(bool& value);
std::unique_ptr<Binding> bind(int64_t& value);
std::unique_ptr<Binding> bind(double& value);
std::unique_ptr<Binding> bind(std::string& value);
std::unique_ptr<Binding> bind(ConfigPath& value);
std::unique_ptr<Binding> bind(ConfigNode& value);
/// An enum through its words; get and set work on the index of a word.
std::unique_ptr<Binding> bind_choice(std::vector<std::string> words, std::function<size_t()> get,
                                     std::function<void(size_t)> set);

}  // namespace detail

/// One field while it is described. Every call returns the field, so they chain.
class Field {
 public:
  Field(std::string name, std::unique_ptr<detail::Binding> binding);

  Field& help(std::string text);    // one or two sentences; every field has it
  Field& unit(std::string unit);    // "bytes", "seconds", "samples"
  Field& at_least(double minimum);  // inclusive; of a number, or of each number of a list
  Field& above(double minimum);     // exclusive
  Field& at_most(double maximum);   // inclusive
  Field& below(double maximum);     // exclusive
  /// Of a string, or of each string of a list; upper and lower case alike.
  Field& one_of(std::vector<std::string> words);
  Field& required();  // no default
  /// What users of other tools call it. Never accepted; an unknown key of this name is answered
  /// with this field's.
  Field& known_as(std::vector<std::string> names);
  /// A word that stands for an empty std::optional ("auto", "none").
  Field& empty_word(std::string word);

 private:
  friend class Fields;
  void read(const ConfigNode& given, const ConfigScope& scope);
  ConfigNode with_known_words(ConfigNode node) const;
  void check_range(const ConfigNode& node) const;
  void check_words(const ConfigNode& node) const;
  std::string range_text() const;  // "at least 1 and below 2"; "" without a range
  ConfigNode write() const;
  ConfigNode schema() const;
  void add_limits(ConfigNode& schema) const;
  static ConfigNode or_words(ConfigNode inner, ConfigNode words);

  std::string name_, help_, unit_, empty_word_;
  std::unique_ptr<detail::Binding> binding_;
  double minimum_ = -std::numeric_limits<double>::infinity();
  double maximum_ = std::numeric_limits<double>::infinity();
  bool minimum_exclusive_ = false, maximum_exclusive_ = false, required_ = false;
  std::vector<std::string> words_, known_as_;
};

/// The description of one struct, bound to one object of it. The object must outlive the Fields.
class Fields {
 public:
  Fields();
  ~Fields();
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  template <class T>
  Field& field(std::string name, T& value) {
    return add(std::move(name), detail::bind(value));
  }

  /// An enum: `fields.choice("mode", config.mode, {{"min", Mode::kMin}, {"max", Mode::kMax}})`.
  template <class E>
  Field& choice(std::string name, E& value, std::vector<std::pair<std::string, E>> words) {
    std::vector<std::string> names;
    std::vector<E> values;
    for (auto& [word, e] : words) {
      names.push_back(word);
      values.push_back(e);
    }
    auto get = [&value, values] {
      for (size_t i = 0; i < values.size(); ++i)
        if (values[i] == value) return i;
      return size_t{0};
    };
    auto set = [&value, values](size_t i) { value = values[i]; };
    return add(std::move(name), detail::bind_choice(std::move(names), get, set));
  }

  /// A rule over several fields, tested once all could be read: returns nothing when it holds, else
  /// what is wrong and what is allowed. The error stands at the line of the field `name` ("metric",
  /// "keep_best.metric") if the file gives it, else at the struct's ("" always).
  void rule(std::string name, std::function<std::optional<std::string>()> test,
            SourcePlace place = SourcePlace::here());

  /// Keys of other tools that have no counterpart here, and what to do instead: the answer to an
  /// unknown key of that name.
  void hint(std::vector<std::string> names, std::string answer);

  /// The mapping has more keys than are described here: those of a kind, which is known only once
  /// this is read. They are kept as they are, to be read against the kind's own description.
  void rest(ConfigNode& others);

  /// Remembers where the mapping stands in the file, for errors that are found later: `place`
  /// becomes an empty node with its file, line and path.
  void place(ConfigNode& place);

  /// Sets the object from the mapping; fields that it does not name keep their values. Throws:
  /// ConfigError with all that is wrong (unknown key with the nearest known one, wrong type, out of
  /// range, missing, a rule).
  void read(const ConfigNode& node, const ConfigScope& scope = {});
  /// All fields with their values now, as a mapping.
  ConfigNode write() const;
  /// A JSON Schema object (draft 2020-12) as a tree of mappings; with help, units, ranges and the
  /// values now as defaults. Names of other tools stand under "x-known-as" and "x-hints".
  ConfigNode schema() const;

 private:
  struct Rule {
    std::string name;
    std::function<std::optional<std::string>()> test;
    SourcePlace place;
  };
  Field& add(std::string name, std::unique_ptr<detail::Binding> binding);
  Field* find(std::string_view name) const;
  std::vector<std::string> names() const;
  void read_entries(const ConfigNode& node, const ConfigScope& scope,
                    detail::ProblemList& problems);
  void check_required(const ConfigNode& node, detail::ProblemList& problems) const;
  void check_rules(const ConfigNode& node) const;

  std::vector<std::unique_ptr<Field>> fields_;
  std::vector<Rule> rules_;
  std::vector<std::pair<std::string, std::string>> hints_;
  ConfigNode* rest_ = nullptr;
  ConfigNode* place_ = nullptr;
};

/// Reads a described struct. Throws: ConfigError.
template <class T>
T read_config(const ConfigNode& node, const ConfigScope& scope = {}) {
  T value;
  Fields fields;
  describe(fields, value);
  fields.read(node, scope);
  return value;
}

template <class T>
ConfigNode write_config(const T& value) {
  Fields fields;
  describe(fields, const_cast<T&>(value));  // NOLINT: write() only reads
  return fields.write();
}

template <class T>
ConfigNode config_schema() {
  T value;
  Fields fields;
  describe(fields, value);
  return fields.schema();
}

}  // namespace triga

#include "triga/config_bindings.h"  // IWYU pragma: keep: the templates behind `bind`
