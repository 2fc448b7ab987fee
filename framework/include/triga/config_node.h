// ConfigNode: a piece of an experiment file as it was written, with its place in it. A neutral
// tree, through which no YAML library shows; and config_error, which puts that place in front of
// what is wrong.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "triga/error.h"

namespace triga {

struct ConfigEntry;

struct ConfigNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  Kind kind = Kind::kNull;
  std::string scalar;   // kScalar: the text
  bool quoted = false;  // kScalar: written in quotes, so it is a string whatever it looks like
  std::vector<ConfigNode> items;     // kSequence
  std::vector<ConfigEntry> entries;  // kMapping, in the order of the file

  std::string file;  // as the user named it; "--set a.b=1" for what the command line set
  int line = 0;      // 1-based; 0: not from a file
  std::string path;  // "train.max_steps", "data.train.files[2]"; "" for the root
  int key_line = 0;  // line of the key that this is the value of; 0: it has none

  /// The value of a key of a mapping; null when there is none, or this is no mapping.
  const ConfigNode* find(std::string_view key) const;

  /// "experiments/a.yaml:14: train.max_steps", as far as it is known.
  std::string where() const;
  /// An empty node that stands where this one does.
  ConfigNode place() const;
  /// For errors about a key in this mapping ("max_steps", "train.max_steps"): its value, or when it
  /// is missing an empty node with its path, here.
  ConfigNode place_of(std::string_view key) const;

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

/// An error at a node, to be thrown: `throw config_error(node, "expected a file, got a folder")`
/// says "experiments/a.yaml:14: data.train.files[0]: expected a file, got a folder".
ConfigError config_error(const ConfigNode& node, std::string_view what,
                         SourcePlace place = SourcePlace::here());

/// A path of a file or folder (also a pattern, `*.txt`), absolute once it is read. What an
/// experiment file names is relative to the folder of that file, what `--set` names to the working
/// directory.
struct ConfigPath {
  std::string path;
};

}  // namespace triga
