// triga gradients: the curves of gradients inside of layers of several runs in one picture.
#include <fmt/format.h>

#include <filesystem>
#include <iostream>

#include "base/absolute_path.h"
#include "base/files.h"
#include "launchers/command.h"
#include "metrics/gradient_log.h"
#include "trainer/run_directory.h"

namespace triga {
namespace {

struct GradientArguments {
  std::vector<std::string> runs;
  std::string output = "gradients.svg";
};

ExitStatus gradients(const GradientArguments& arguments) {
  FileSystem& files = posix_files();
  std::vector<GradientPanel> panels;
  for (const std::string& run : arguments.runs) {
    const Path root = absolute_path(run);
    const Path table = RunDirectory{root}.gradients();
    if (!exists(files, table))
      throw DataError(
          fmt::format("{} has no gradients.csv: train it with --set "
                      "log.gradient_norms_every_steps=N",
                      run));
    const Path name = root.has_filename() ? root.filename() : root.parent_path().filename();
    for (GradientPanel& panel : gradient_panels(read_text(files, table), table.string())) {
      panel.title = fmt::format("{}: {}", name.string(), panel.title);
      panels.push_back(std::move(panel));
    }
  }
  const Path output = std::filesystem::absolute(arguments.output);
  atomic_write(files, output, gradient_plot(panels));
  std::cout << output.string() << "\n";
  return ExitStatus::kDone;
}

}  // namespace

void add_gradients(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<GradientArguments>();
  CLI::App* sub = app.add_subcommand(
      "gradients",
      "Draws how gradients vanish or explode inside of layers, of one run or several.");
  sub->add_option("runs", arguments->runs,
                  "Run directories, trained with log.gradient_norms_every_steps")
      ->required();
  sub->add_option("--output", arguments->output, "The picture, SVG")->capture_default_str();
  sub->footer("\nExample:\n  triga gradients runs/adding-rnn runs/adding-lstm --output both.svg");
  sub->callback(
      [&command, arguments] { command.run = [arguments] { return gradients(*arguments); }; });
}

}  // namespace triga
