// parse_yaml: the YAML library tells of each piece of the text as it meets it, and TreeBuilder
// makes nodes of that. So the limits stop it in the middle, and lines and quotes are known.
#include <c10/util/StringUtil.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "config/text_check.h"
#include "config/yaml.h"

namespace triga {
namespace {

using Kind = ConfigNode::Kind;

int count_values(const ConfigNode& node) {
  int count = 1;
  for (const auto& item : node.items) count += count_values(item);
  for (const auto& entry : node.entries) count += count_values(entry.value);
  return count;
}

/// Whether a quoted scalar has no second quote. The library takes it up to the end of the text
/// then, and says nothing if a line ends there. `text`: from the scalar on, or its anchor.
bool is_quote_open(std::string_view text) {
  if (text.starts_with('&')) {
    text.remove_prefix(std::min(text.find_first_of(" \r\n"), text.size()));
    text.remove_prefix(std::min(text.find_first_not_of(" \r\n"), text.size()));
  }
  const char quote = text.empty() ? ' ' : text[0];
  if (quote != '"' && quote != '\'') return false;
  for (size_t i = 1; i < text.size(); ++i) {
    if (quote == '"' && text[i] == '\\')
      ++i;
    else if (quote == '\'' && text.substr(i, 2) == "''")
      ++i;
    else if (text[i] == quote)
      return false;
  }
  return true;
}

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view text, const std::string& name, bool has_lines)
      : text_(text), name_(name), has_lines_(has_lines) {}

  ConfigNode take_root() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++num_documents_ > 1)
      throw error_at(mark,
                     "a second document begins; an experiment is one, so remove the '---' line");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    finish(mark, make(mark, Kind::kNull), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    ConfigNode node = make(mark, Kind::kScalar);
    node.scalar = value;
    node.quoted = tag == "!";
    if (node.quoted && is_quote_open(text_.substr(static_cast<size_t>(mark.pos))))
      throw error_at(mark, "a quote is not closed: the text behind it goes on to the end");
    finish(mark, std::move(node), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end())
      throw error_at(mark, "an alias (*) inside the value that it stands for; write the value out");
    count(mark, found->second.num_values);
    finish(mark, found->second.node, YAML::NullAnchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::kSequence);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, Kind::kMapping);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  /// Where the library said that something is wrong.
  ConfigError error_at(const YAML::Mark& mark, std::string_view what,
                       SourcePlace place = SourcePlace::here()) const {
    ConfigNode node;
    node.file = name_;
    node.line = line_of(mark);
    return config_error(node, what, place);
  }

 private:
  struct Open {  // a mapping or sequence whose end was not met yet
    ConfigNode node;
    YAML::Mark mark;
    YAML::anchor_t anchor;
    bool has_key = false;
    std::string key;
    int key_line = 0;
    std::map<std::string, int> lines;  // of the keys so far
  };
  struct Anchored {
    ConfigNode node;
    int num_values;
  };

  int line_of(const YAML::Mark& mark) const { return has_lines_ ? mark.line + 1 : 0; }

  ConfigNode make(const YAML::Mark& mark, Kind kind) {
    count(mark, 1);
    ConfigNode node;
    node.kind = kind;
    node.file = name_;
    node.line = line_of(mark);
    return node;
  }

  void count(const YAML::Mark& mark, int num_values) {
    num_values_ += num_values;
    if (num_values_ > YamlLimits::kValues)
      throw error_at(mark,
                     c10::str("more than ", YamlLimits::kValues,
                              " values, counting each use of an alias; this is no experiment"));
  }

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (tag != "?" && tag != "!" && !tag.empty())
      throw error_at(mark,
                     c10::str("tag '", tag, "': tags are not supported; write the value alone"));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Kind kind) {
    refuse_tag(mark, tag);
    if (open_.size() >= YamlLimits::kDepth)
      throw error_at(mark,
                     c10::str("more than ", YamlLimits::kDepth,
                              " lists and mappings inside each other; this is no experiment"));
    open_.push_back({make(mark, kind), mark, anchor, false, {}, 0, {}});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    finish(done.mark, std::move(done.node), done.anchor);
  }

  void finish(const YAML::Mark& mark, ConfigNode node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = {node, count_values(node)};
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (parent.node.kind == Kind::kSequence) {
      parent.node.items.push_back(std::move(node));
    } else if (!parent.has_key) {
      begin_entry(parent, mark, node);
    } else {
      node.key_line = parent.key_line;
      parent.node.entries.push_back({std::move(parent.key), std::move(node)});
      parent.has_key = false;
    }
  }

  void begin_entry(Open& parent, const YAML::Mark& mark, const ConfigNode& key) {
    if (key.kind != Kind::kScalar)
      throw error_at(mark, "a key that is not a single word; expected `key: value`");
    if (key.scalar == "<<" && !key.quoted)
      throw error_at(mark, "'<<' (merge) is not supported; write the keys out");
    const auto [known, is_new] = parent.lines.emplace(key.scalar, line_of(mark));
    if (!is_new)
      throw error_at(mark, c10::str("key '", key.scalar, "' twice in one mapping",
                                    has_lines_ ? c10::str(", first in line ", known->second) : "",
                                    "; remove one"));
    parent.has_key = true;
    parent.key = key.scalar;
    parent.key_line = line_of(mark);
  }

  std::string_view text_;  // as the library reads it: marks are positions in it
  std::string name_;
  bool has_lines_;
  ConfigNode root_;
  std::vector<Open> open_;
  std::map<YAML::anchor_t, Anchored> anchors_;
  int num_documents_ = 0;
  int num_values_ = 0;
};

/// What usually is behind a message of the library.
std::string_view likely_cause(std::string_view message) {
  const auto says = [message](std::string_view part) { return message.find(part) != message.npos; };
  if (says("map flow not found")) return "; a '{' is not closed, or a ',' is missing";
  if (says("sequence flow not found")) return "; a '[' is not closed, or a ',' is missing";
  if (says("illegal map value"))
    return "; a value with ': ' in it needs quotes, and keys of one mapping the same indentation";
  if (says("end of map not found") || says("end of sequence not found"))
    return "; keys of one mapping need the same indentation, and a space after ':'";
  if (says("EOF in scalar")) return "; a quote is not closed";
  if (says("unknown escape")) return "; write '\\\\' for a backslash, or use single quotes";
  if (says("anchor is not defined"))
    return "; a value that begins with '*' needs quotes unless it is an alias of an anchor (&) "
           "above";
  if (says("unknown token")) return "; a value that begins with '%', '@' or '`' needs quotes";
  return "";
}

ConfigNode parse(std::string_view text, const std::string& name, bool has_lines) {
  std::string whole(check_text(text, name, has_lines));
  if (has_lines && !whole.ends_with('\n'))
    whole += '\n';  // so an open quote is one of the builder's
  TreeBuilder builder(whole, name, has_lines);
  try {
    std::istringstream stream{whole};
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw builder.error_at(error.mark,
                           c10::str("not valid YAML: ", error.msg, likely_cause(error.msg)));
  }
  ConfigNode root = builder.take_root();
  root.file = name;
  return root;
}

}  // namespace

void set_paths(ConfigNode& node, const std::string& path) {
  node.path = path;
  for (size_t i = 0; i < node.items.size(); ++i)
    set_paths(node.items[i], c10::str(path, "[", i, "]"));
  for (auto& [key, value] : node.entries) set_paths(value, path.empty() ? key : path + "." + key);
}

ConfigNode parse_yaml(std::string_view text, const std::string& name) {
  ConfigNode root = parse(text, name, true);
  if (root.kind == Kind::kNull)
    throw config_error(root,
                       "is empty; expected an experiment, such as `name: first-try` and so on");
  if (root.kind != Kind::kMapping)
    throw config_error(root, "is no experiment; expected lines of `key: value`");
  set_paths(root, "");
  return root;
}

ConfigNode parse_yaml_value(std::string_view text, const std::string& name,
                            const std::string& path) {
  ConfigNode node = parse(text, name, false);
  set_paths(node, path);
  return node;
}

}  // namespace triga
