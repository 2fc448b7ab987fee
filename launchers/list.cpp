// triga list and triga describe: what can stand in an experiment, with every option.
#include <fmt/format.h>

#include <iostream>

#include "config/experiment_schema.h"
#include "config/kind_sections.h"
#include "config/schema_words.h"
#include "config/yaml.h"
#include "launchers/command.h"
#include "launchers/loaded_experiment.h"

namespace triga {
namespace {

struct DescribeArguments {
  std::string plugin, kind;
  bool as_json_schema = false, as_markdown = false;
};

/// Opens every plugin that is found; one that cannot be opened is a line, not the end.
void open_all(OpenRegistry& kinds) {
  for (const PluginSearchPath::Found& found : kinds.host().search_path().all()) {
    try {
      kinds.host().open(found.path.string());
    } catch (const PluginError& error) {
      std::cerr << "triga: warning: " << error.what() << "\n";
    }
  }
}

std::string one_word(const std::string& plugin) {
  return plugin.empty() ? "(core)" : plugin;
}

ExitStatus list(const CommandEnvironment& environment) {
  OpenRegistry kinds(environment);
  open_all(kinds);
  std::string last_sort;
  for (const KindSection& section : kind_sections(kinds.registry())) {
    if (section.sort == last_sort)
      continue;  // data.train, data.validation and data.test name the same sort
    last_sort = section.sort;
    std::cout << section.sort << ", at " << section.path << ":\n";
    if (section.kinds.empty()) std::cout << "  none: plugins bring them\n";
    for (const KindView& kind : section.kinds)
      std::cout << fmt::format("  {:<12} {:<16} {}\n", one_word(kind.plugin), kind.name, kind.help);
  }
  for (const OpenPlugin& plugin : kinds.host().opened())
    std::cout << fmt::format("plugin {} {}: {}\n", plugin.name, plugin.version,
                             plugin.path.string());
  std::cout << "Every option of one: triga describe PLUGIN KIND (core: triga describe core KIND)\n";
  return ExitStatus::kDone;
}

/// "hidden_size: 128", and below it what may stand there and what it means.
void print_options(const ConfigNode& mapping, const std::string& indent) {
  for (const auto& [key, schema] : mapping.find("properties")->entries) {
    const std::string value = default_in_words(schema);
    std::cout << indent << key << (value.empty() ? "" : ": " + value)
              << (is_required(mapping, key) ? " (required)" : "") << "\n"
              << indent << "    " << type_in_words(schema) << ". "
              << scalar_at(schema, "description") << "\n";
    if (const ConfigNode* inner = mapping_in(schema)) print_options(*inner, indent + "  ");
  }
}

/// That of one kind alone; of several, by sort and name ("dataset text"), a document of all.
ConfigNode schema_of(ConfigNode schemas) {
  if (schemas.entries.size() == 1) return schemas.entries.front().value;
  ConfigNode document = ConfigNode::make_mapping();
  document.add("$defs", std::move(schemas));
  return document;
}

ExitStatus describe(const CommandEnvironment& environment, const DescribeArguments& arguments) {
  OpenRegistry kinds(environment);
  if (arguments.plugin.empty()) {
    open_all(kinds);
    if (arguments.as_json_schema)
      std::cout << write_json(experiment_schema(kinds.registry()));
    else if (arguments.as_markdown)
      std::cout << experiment_reference(kinds.registry());
    else
      print_options(experiment_schema(kinds.registry()), "");
    return ExitStatus::kDone;
  }
  const std::string plugin = arguments.plugin == "core" ? "" : arguments.plugin;
  if (!plugin.empty()) kinds.host().open(plugin);
  const std::string name = registered_name(plugin);
  ConfigNode found = ConfigNode::make_mapping();  // schemas
  std::string last_sort;
  for (const KindSection& section : kind_sections(kinds.registry())) {
    if (section.sort == last_sort) continue;
    last_sort = section.sort;
    for (const KindView& kind : section.kinds) {
      if (kind.plugin != name || (!arguments.kind.empty() && kind.name != arguments.kind)) continue;
      found.add(fmt::format("{} {}", section.sort, kind.name), kind.schema());
      if (arguments.as_json_schema) continue;
      std::cout << kind.name << " (" << section.sort << ", at " << section.path
                << "): " << kind.help << "\n";
      print_options(kind.schema(), "  ");
    }
  }
  if (found.entries.empty())
    throw ConfigError(fmt::format("{} has no kind '{}'; what there is: triga list", one_word(name),
                                  arguments.kind));
  if (arguments.as_json_schema) std::cout << write_json(schema_of(std::move(found)));
  return ExitStatus::kDone;
}

}  // namespace

void add_list(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand(
      "list",
      "What there is: architectures, datasets, tokenizers, optimizers, schedules, metrics.");
  sub->footer("\nExample:\n  triga list\nEvery option of one of them: triga describe PLUGIN KIND");
  sub->callback([&command] { command.run = [&command] { return list(command.environment); }; });
}

void add_describe(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<DescribeArguments>();
  CLI::App* sub =
      app.add_subcommand("describe", "Every key of an experiment, or every option of one kind.");
  auto* plugin = sub->add_option("plugin", arguments->plugin, "Plugin, or 'core'");
  sub->add_option("kind", arguments->kind, "Kind; default: all of the plugin");
  sub->add_flag("--json-schema", arguments->as_json_schema, "As JSON Schema, for editors");
  sub->add_flag("--markdown", arguments->as_markdown, "All keys and kinds as a page in Markdown")
      ->excludes(plugin);
  sub->footer(
      "\nExample:\n  triga describe transformer gpt2\n  triga describe --json-schema > "
      "experiment.schema.json");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return describe(command.environment, *arguments); };
  });
}

}  // namespace triga
