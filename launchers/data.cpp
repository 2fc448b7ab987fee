// triga data list|get|tokenize: the data sets of the catalogue, fetching one, making its tokens.
#include <fmt/format.h>

#include <iostream>

#include "base/terminal.h"
#include "config/load.h"
#include "config/yaml.h"
#include "data/catalogue.h"
#include "launchers/command.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

struct DataArguments {
  std::string catalogue, name;
};

Catalogue read_catalogue(const std::string& file) {
  return read_config<Catalogue>(parse_yaml(read_config_file(file), file));
}

std::string format_megabytes(int64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

ExitStatus list(const CommandEnvironment& environment, const DataArguments& arguments) {
  for (const auto& [name, data_set] : read_catalogue(arguments.catalogue).data_sets) {
    const fs::path folder = fs::path(environment.data_dir) / name;
    std::cout << fmt::format("{:<20} {:>9}  {}\n", name, format_megabytes(data_set.num_bytes()),
                             is_complete(data_set, folder) ? "in " + folder.string() : "not here");
    std::cout << fmt::format("    {}\n    licence: {}; {}\n", data_set.description,
                             data_set.licence, data_set.home);
  }
  return ExitStatus::kDone;
}

ExitStatus get(const CommandEnvironment& environment, const DataArguments& arguments) {
  const Catalogue catalogue = read_catalogue(arguments.catalogue);
  const DataSet& data_set = catalogue.find(arguments.name);
  const fs::path folder = fs::path(environment.data_dir) / arguments.name;
  Terminal terminal(
      {.is_interactive = environment.is_terminal, .use_color = environment.use_color});
  fetch_data_set(
      data_set, folder, {.mirror = environment.data_mirror}, [&](const FetchProgress& progress) {
        const std::string line = fmt::format("{} of {}  {}", format_megabytes(progress.bytes_done),
                                             format_megabytes(progress.num_bytes), progress.file);
        const auto columns = static_cast<size_t>(environment.terminal_columns - 1);
        terminal.show_bar(std::string_view(line).substr(0, columns));
      });
  terminal.print(fmt::format("{}: {} files, {}, all with the SHA-256 of the catalogue\n",
                             folder.string(), data_set.files.size(),
                             format_megabytes(data_set.num_bytes())));
  return ExitStatus::kDone;
}

}  // namespace

void add_data(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand(
      "data",
      "Data sets: list and fetch those of the catalogue, cut an experiment's text into tokens.");
  sub->require_subcommand(1);
  auto arguments = std::make_shared<DataArguments>();
  arguments->catalogue =
      (command.environment.prefix / "share" / "triga" / "data_catalogue.yaml").string();
  sub->add_option("--catalogue", arguments->catalogue, "Another catalogue file")
      ->capture_default_str();
  sub->add_subcommand("list",
                      "What there is, how large, under which licence, and whether it is here.")
      ->callback([&command, arguments] {
        command.run = [&command, arguments] { return list(command.environment, *arguments); };
      });
  CLI::App* get_command =
      sub->add_subcommand("get",
                          "Fetch a data set into TRIGA_DATA_DIR/NAME (default data/NAME), or check "
                          "the one that is there. Goes on after an interruption.");
  get_command->add_option("name", arguments->name, "Name in the catalogue")->required();
  get_command->footer(
      "\nIf TRIGA_DATA_MIRROR names a folder, files are taken from FOLDER/<host>/<path> instead of "
      "the "
      "network,\nas `wget -x` lays them out.\n\nExample:\n  triga data get tinyshakespeare");
  get_command->callback([&command, arguments] {
    command.run = [&command, arguments] { return get(command.environment, *arguments); };
  });
  add_data_tokenize(*sub, command);
  sub->footer(
      "\nExamples:\n  triga data list\n  triga data get tinyshakespeare\n"
      "  triga data tokenize experiments/quickstart.yaml");
}

}  // namespace triga
