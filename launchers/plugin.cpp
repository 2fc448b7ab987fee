// triga plugin new and triga plugin check: a plugin's start, and what it must hold.
#include <iostream>

#include "launchers/command.h"
#include "launchers/plugin_check.h"
#include "launchers/plugin_new.h"

namespace triga {
namespace {

void add_new(CLI::App& group, Command& command) {
  struct Arguments {
    std::string name, folder = ".", part;
  };
  auto arguments = std::make_shared<Arguments>();
  CLI::App* sub = group.add_subcommand("new",
                                       "Write a small complete plugin to begin with: a model, a "
                                       "dataset, an experiment, tests; or one "
                                       "that brings a part for models of others.");
  sub->add_option("name", arguments->name, "Of the plugin and of its folder: a-z, 0-9 and _")
      ->required();
  sub->add_option("--in", arguments->folder, "Folder in which its folder is made")
      ->capture_default_str();
  sub->add_option("--only", arguments->part, "A part, for models that others wrote")
      ->check(CLI::IsMember(scaffold_parts()));
  sub->footer(
      "\nExamples:\n  triga plugin new my_plugin --in ~/plugins\n"
      "  triga plugin new my_data --only dataset\n\nNothing is overwritten.");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] {
      std::cout << new_plugin(command.environment, arguments->name, arguments->folder,
                              arguments->part);
      return ExitStatus::kDone;
    };
  });
}

void add_check_of_plugin(CLI::App& group, Command& command) {
  auto arguments = std::make_shared<PluginCheckArguments>();
  CLI::App* sub = group.add_subcommand(
      "check", "Hold a plugin to what the core relies on. A line a check: PASS or FAIL.");
  sub->add_option("file", arguments->file, "The plugin, FILE.so")->required();
  sub->add_option("--experiment", arguments->experiments,
                  "Experiment that uses kinds of the plugin; their options and data are those of "
                  "the checks (may be repeated). A small model on little data is checked in "
                  "seconds")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("FILE.yaml");
  sub->add_option("--input", arguments->inputs,
                  "Input of the samplers, where they need one: --input file=a.csv (may be "
                  "repeated)")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("KEY=VALUE");
  sub->footer(
      "\nExample:\n  triga plugin check build/my_plugin.so --experiment experiment.yaml\n\n"
      "Exit status: 0 when every check passed, 3 when one failed.");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] {
      return check_plugin(command.environment, *arguments, std::cout);
    };
  });
}

}  // namespace

void add_plugin(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("plugin", "Begin a plugin of your own, or check one.");
  sub->require_subcommand(1);
  add_new(*sub, command);
  add_check_of_plugin(*sub, command);
  sub->footer(
      "\nExamples:\n  triga plugin new my_plugin\n"
      "  triga plugin check my_plugin/build/my_plugin.so --experiment my_plugin/experiment.yaml");
}

}  // namespace triga
