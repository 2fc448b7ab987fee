#include "config/resolve.h"

#include <c10/util/StringUtil.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "base/utf8.h"
#include "config/experiment_schema.h"
#include "config/find_kind.h"
#include "config/kind_sections.h"
#include "config/load.h"
#include "config/scalar.h"
#include "config/yaml.h"

namespace triga {
namespace {

using NodeKind = ConfigNode::Kind;

constexpr std::string_view kDecaySteps = "learning_rate_schedule.decay_steps";
constexpr std::string_view kWarmupSteps = "learning_rate_schedule.warmup_steps";
constexpr std::string_view kBucketBytes = "parallel.bucket_bytes";
constexpr std::string_view kSampleInputs = "log.samples.inputs";
constexpr std::string_view kPartition = "parallel.partition";

/// The keys that a section has of itself.
std::vector<std::string> own_keys(const KindSection& section) {
  auto schema = config_schema<Experiment>();
  std::vector<std::string> keys;
  for (const auto& entry : section_schema(schema, section.path).find("properties")->entries)
    keys.push_back(entry.key);
  return keys;
}

/// The node that names the kind; nothing where reading the section's own keys tells what is wrong,
/// or where there is no such section.
std::optional<ConfigNode> named_kind(const ConfigNode& node, const KindSection& section) {
  auto kind = node.place_of("kind");
  if (kind.kind == NodeKind::kNull && !section.default_kind.empty()) {
    kind.kind = NodeKind::kScalar;
    kind.scalar = section.default_kind;
  }
  if (kind.kind != NodeKind::kScalar) return std::nullopt;
  return kind;
}

const KindView& find_view(const KindSection& section, const std::string& plugin,
                          const ConfigNode& kind) {
  std::vector<detail::KindName> known;
  for (const auto& view : section.kinds) {
    if (view.plugin == plugin && view.name == kind.scalar) return view;
    known.push_back({view.plugin, view.name});
  }
  detail::throw_unknown_kind(section.sort, plugin, kind, known);
}

/// The options of a section's kind with every default. Throws: ConfigError.
std::optional<ConfigNode> resolve_options(const ConfigNode& root, const KindSection& section,
                                          const std::function<ConfigNode()>& whole) {
  const ConfigNode* given = find_path(root, section.path);
  const auto node = given != nullptr ? *given : root.place_of(section.path);
  const auto kind = named_kind(node, section);
  if (!kind) return std::nullopt;
  const auto& view = find_view(section, registered_name(node.place_of("plugin").scalar), *kind);
  if (!section.options_key.empty())
    return view.resolve(node.place_of(section.options_key), {{}, whole});
  auto options = node;
  const auto keys = own_keys(section);
  std::erase_if(options.entries, [&keys](const ConfigEntry& entry) {
    return std::find(keys.begin(), keys.end(), entry.key) != keys.end();
  });
  return view.resolve(options, {keys, whole});
}

/// Puts resolved options in the place of those that the file gives.
void set_options(ConfigNode& resolved, const KindSection& section, const ConfigNode& options) {
  ConfigNode& node = *find_path(resolved, section.path);
  if (!section.options_key.empty()) {
    *find_path(node, section.options_key) = options;
    return;
  }
  const auto keys = own_keys(section);
  std::erase_if(node.entries, [&keys](const ConfigEntry& entry) {
    return std::find(keys.begin(), keys.end(), entry.key) == keys.end();
  });
  for (const auto& [key, value] : options.entries) node.add(key, value);
}

bool is_left_to_the_limit(const ConfigNode& resolved) {
  const auto* steps = find_path(resolved, kDecaySteps);
  return steps != nullptr && steps->kind == NodeKind::kNull;
}

/// Nobody wrote these lines yet.
void clear_places(ConfigNode& node) {
  node.file.clear();
  node.line = node.key_line = 0;
  for (ConfigNode& item : node.items) clear_places(item);
  for (auto& [key, value] : node.entries) clear_places(value);
}

/// As a run that goes on will read what it was told, with absolute paths and defaults, which is more
/// than its file holds.
ConfigNode read_back(const ConfigNode& resolved, const ConfigNode& root) {
  try {
    ConfigNode again = read_resolved(write_resolved(resolved), "resolved.yaml");
    clear_places(again);
    return again;
  } catch (const ConfigError& error) {
    throw config_error(root,
                       c10::str("with absolute paths and all defaults it cannot be read when "
                                "the run is to go on (",
                                error.what(), "); one pattern, dir/**/*.txt, names many files"));
  }
}

/// What became of paths and of ${env:...}: resolved.yaml is read again when the run goes on. `where`:
/// a node that knows the file.
void check_is_utf8(const ConfigNode& resolved, const ConfigNode& where) {
  if (find_invalid_utf8(resolved.scalar))
    throw config_error(where.place_of(resolved.path),
                       c10::str("is '", replace_invalid_utf8(resolved.scalar),
                                "' in full, which is not UTF-8 text; rename that folder or file"));
  for (const ConfigNode& item : resolved.items) check_is_utf8(item, where);
  for (const auto& [key, value] : resolved.entries) check_is_utf8(value, where);
}

}  // namespace

std::vector<ConfigNode> named_plugins(ConfigNode& root) {
  std::vector<ConfigNode> plugins;
  for (const auto& section : kind_sections(Registry(), root)) {
    ConfigNode* plugin = find_path(root, section.path + ".plugin");
    if (plugin == nullptr || plugin->kind != NodeKind::kScalar || plugin->scalar.empty()) continue;
    if (plugin->scalar.find('/') != std::string::npos) {
      ConfigPath path;
      detail::bind(path)->read(*plugin, {});
      plugin->scalar = path.path;
    }
    const auto is_same = [&](const ConfigNode& other) { return other.scalar == plugin->scalar; };
    if (std::none_of(plugins.begin(), plugins.end(), is_same)) plugins.push_back(*plugin);
  }
  return plugins;
}

ResolvedExperiment resolve_experiment(const ConfigNode& root, const Registry& registry) {
  const auto sections = kind_sections(registry, root);
  const auto whole = [&registry] { return experiment_schema(registry); };
  detail::ProblemList problems;
  ResolvedExperiment resolved;
  problems.attempt([&] { resolved.experiment = read_config<Experiment>(root, {{}, whole}); });
  std::map<std::string, ConfigNode> options;  // by the path of the section
  for (const auto& section : sections)
    problems.attempt([&] {
      if (auto found = resolve_options(root, section, whole)) options[section.path] = *found;
    });
  problems.throw_if_any();

  auto& experiment = resolved.experiment;
  if (experiment.data.validation && !experiment.checkpoint.keep_best)
    experiment.checkpoint.keep_best.emplace();
  resolved.node = write_config(experiment);
  for (const auto& section : sections)
    if (const auto found = options.find(section.path); found != options.end())
      set_options(resolved.node, section, found->second);
  set_paths(resolved.node, "");
  check_is_utf8(resolved.node, root);
  if (experiment.train.max_minutes && is_left_to_the_limit(resolved.node))
    throw config_error(root.place_of(kDecaySteps),
                       "is missing; with train.max_minutes the number of steps, over which the "
                       "learning rate is to fall, is not known");
  resolved.node = read_back(resolved.node, root);
  return resolved;
}

std::string write_resolved(const ConfigNode& resolved) {
  auto escaped = resolved;
  escape_variables(escaped);
  return write_yaml(escaped);
}

ConfigNode read_resolved(std::string_view text, const std::string& name) {
  ConfigNode resolved = parse_yaml(text, name);
  expand_variables(resolved, {});
  return resolved;
}

std::optional<int64_t> decay_steps(const ConfigNode& resolved) {
  const auto* steps = find_path(resolved, kDecaySteps);
  return steps == nullptr ? std::nullopt : parse_integer(steps->scalar);
}

int64_t default_decay_steps(const ConfigNode& resolved, int64_t limit) {
  const auto* warmup = find_path(resolved, kWarmupSteps);
  const auto steps = warmup == nullptr ? std::nullopt : parse_integer(warmup->scalar);
  return std::max(limit, steps.value_or(0) + 1);
}

void set_default_decay_steps(ConfigNode& resolved, int64_t steps) {
  if (is_left_to_the_limit(resolved))
    *find_path(resolved, kDecaySteps) = ConfigNode::make_scalar(std::to_string(steps));
}

std::optional<int64_t> bucket_bytes(const ConfigNode& resolved) {
  const auto* bytes = find_path(resolved, kBucketBytes);
  return bytes == nullptr ? std::nullopt : parse_integer(bytes->scalar);
}

void set_bucket_bytes(ConfigNode& resolved, int64_t bytes) {
  *find_path(resolved, kBucketBytes) = ConfigNode::make_scalar(std::to_string(bytes));
}

std::optional<std::vector<int64_t>> partition_cuts(const ConfigNode& resolved) {
  const auto* partition = find_path(resolved, kPartition);
  if (partition == nullptr || partition->kind != NodeKind::kSequence) return std::nullopt;
  std::vector<int64_t> cuts;
  for (const auto& item : partition->items) {
    const auto cut = parse_integer(item.scalar);
    if (!cut) return std::nullopt;
    cuts.push_back(*cut);
  }
  return cuts;
}

void set_partition_cuts(ConfigNode& resolved, const std::vector<int64_t>& cuts) {
  auto list = ConfigNode::make_sequence();
  for (const int64_t cut : cuts) list.items.push_back(ConfigNode::make_scalar(std::to_string(cut)));
  *find_path(resolved, kPartition) = std::move(list);
}

void set_sample_inputs(ConfigNode& resolved, const ConfigNode& inputs) {
  ConfigNode& place = *find_path(resolved, kSampleInputs);
  place = inputs;
  set_paths(place, std::string(kSampleInputs));
  check_is_utf8(place, resolved);
  resolved = read_back(resolved, resolved);
}

}  // namespace triga
