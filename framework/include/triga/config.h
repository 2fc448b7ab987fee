// Config: a struct with defaults beside its fields, and one function that describes each field. From that one description
// come parsing, errors with file, line and key, ranges, hints, the JSON Schema, the reference page, and resolved.yaml.
//
//   struct AdamWConfig {
//     double learning_rate = 1e-3;
//     double weight_decay = 0.01;
//     std::vector<GroupConfig> groups;
//   };
//   void describe(Fields& fields, AdamWConfig& config) {       // found by argument-dependent lookup
//     fields.field("learning_rate", config.learning_rate)
//         .help("Peak learning rate; the schedule multiplies it.").above(0).known_as({"lr"});
//     fields.field("weight_decay", config.weight_decay).help("Decoupled weight decay.").at_least(0);
//     fields.field("groups", config.groups).help("Other values for some parameters.");
//   }
//
// Types of fields: bool, int64_t, double, std::string, an enum (through `choice`), any described struct, ConfigNode (kept as
// it is), and std::optional, std::vector, std::map<std::string, T> of these.
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

#include "triga/error.h"

namespace triga {

struct ConfigEntry;

/// A piece of an experiment file as it was written, with its place in it. A neutral tree: no YAML library shows through.
struct ConfigNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  std::string scalar;   // kScalar: the text
  bool quoted = false;  // kScalar: written in quotes, so it is a string whatever it looks like
  std::vector<ConfigNode> items;     // kSequence
  std::vector<ConfigEntry> entries;  // kMapping, in the order of the file

  std::string file;  // as the user named it; "--set" for what the command line set
  int line = 0;      // 1-based; 0: not from a file
  std::string path;  // "train.max_steps", "data.train.files[2]"; "" for the root
  int key_line = 0;  // line of the key that this is the value of

  const ConfigNode* find(std::string_view key) const;

  /// "experiments/a.yaml:14: train.max_steps".
  std::string where() const;

  static ConfigNode make_scalar(std::string text, bool quoted = false);
  static ConfigNode make_mapping();
  static ConfigNode make_sequence();
  /// Appends to a mapping. Requires: kind is kMapping and the key is new.
  void add(std::string key, ConfigNode value);
};

struct ConfigEntry {
  std::string key;
  ConfigNode value;
};

class Fields;

namespace detail {

/// How one field is read, written and put into a schema; made for the field's type by `bind`.
class Binding {
 public:
  virtual ~Binding() = default;
  virtual void read(const ConfigNode& node) = 0;        // throws ConfigError
  virtual ConfigNode write() const = 0;                 // the value now
  virtual ConfigNode schema() const = 0;                // as a JSON Schema object
  virtual std::string type_name() const = 0;            // for messages: "an integer"
  virtual std::optional<double> number() const { return std::nullopt; }  // for ranges
};

template <class T>
std::unique_ptr<Binding> bind(T& value);
std::unique_ptr<Binding> bind(bool& value);
std::unique_ptr<Binding> bind(int64_t& value);
std::unique_ptr<Binding> bind(double& value);
std::unique_ptr<Binding> bind(std::string& value);
std::unique_ptr<Binding> bind(ConfigNode& value);
/// An enum through its words; get and set work on the index of a word.
std::unique_ptr<Binding> bind_choice(std::vector<std::string> words, std::function<size_t()> get,
                                     std::function<void(size_t)> set);

}  // namespace detail

/// One field while it is described. Every call returns the field, so they chain.
class Field {
 public:
  Field(std::string name, std::unique_ptr<detail::Binding> binding);

  Field& help(std::string text);             // one or two sentences; every field has it
  Field& unit(std::string unit);             // "bytes", "seconds", "samples"
  Field& at_least(double minimum);           // inclusive
  Field& above(double minimum);              // exclusive
  Field& at_most(double maximum);            // inclusive
  Field& below(double maximum);              // exclusive
  Field& one_of(std::vector<std::string> words);  // of a string
  Field& required();                         // no default
  /// What users of other tools call it. Never accepted; an unknown key of this name is answered with this field's.
  Field& known_as(std::vector<std::string> names);
  /// A word that stands for an empty std::optional ("auto", "none").
  Field& empty_word(std::string word);

 private:
  friend class Fields;
  std::string name_, help_, unit_, empty_word_;
  std::unique_ptr<detail::Binding> binding_;
  double minimum_ = -std::numeric_limits<double>::infinity();
  double maximum_ = std::numeric_limits<double>::infinity();
  bool minimum_exclusive_ = false, maximum_exclusive_ = false, required_ = false, was_set_ = false;
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

  /// A rule over several fields, tested after all are read: returns nothing when it holds, else what is wrong and what is
  /// allowed. The error stands at the line of `name` if that was given, else at the struct's.
  void rule(std::string name, std::function<std::optional<std::string>()> test);

  /// Sets the object from the mapping. Throws: ConfigError (unknown key with the nearest known one, wrong type, out of
  /// range, missing, a rule).
  void read(const ConfigNode& node);
  /// All fields with their values now, as a mapping.
  ConfigNode write() const;
  /// A JSON Schema object (draft 2020-12) as a tree of mappings; with help, units, ranges and the values now as defaults.
  ConfigNode schema() const;
  /// Names given with known_as, as (foreign name, own name), nested structs included ("train.global_batch.samples").
  std::vector<std::pair<std::string, std::string>> known_names() const;

 private:
  Field& add(std::string name, std::unique_ptr<detail::Binding> binding);

  std::vector<std::unique_ptr<Field>> fields_;
  std::vector<std::pair<std::string, std::function<std::optional<std::string>()>>> rules_;
};

/// Reads a described struct. Throws: ConfigError.
template <class T>
T read_config(const ConfigNode& node) {
  T value;
  Fields fields;
  describe(fields, value);
  fields.read(node);
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
