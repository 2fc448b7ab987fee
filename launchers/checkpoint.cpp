// triga checkpoint inspect|check|export: what a checkpoint holds, and whether it is whole.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>

#include "checkpoint/inspect.h"
#include "checkpoint/reader.h"
#include "launchers/command.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

void print_state(const CheckpointReport& report) {
  if (report.state)
    std::cout << fmt::format(
        "step {}, epoch {}, {:L} samples, {:L} tokens, {} steps skipped, {:.0f} s of training\n",
        report.state->step, report.state->epoch, report.state->samples, report.state->tokens,
        report.state->skipped_steps, report.state->train_seconds);
  if (!report.manifest) {
    std::cout << "no manifest: a model directory that no run of Triga wrote\n";
    return;
  }
  for (const auto& [name, value] : report.manifest->environment)
    std::cout << fmt::format("{}: {}\n", name, value);
}

ExitStatus inspect(const std::string& path) {
  const CheckpointReport report = inspect_checkpoint(posix_files(), path, /*verify=*/false);
  std::cout << report.directory.string() << "\n";
  print_state(report);
  for (const CheckpointReport::Tensors& file : report.files) {
    std::cout << file.path << ":\n";
    for (const TensorInfo& tensor : file.tensors)
      std::cout << fmt::format("  {:<56} {:<6} [{}]\n", tensor.name,
                               safetensors_dtype(tensor.dtype), fmt::join(tensor.shape, ", "));
  }
  std::cout << fmt::format("{:L} elements of the model\n", report.num_elements());
  for (const std::string& problem : report.problems) std::cout << "wrong: " << problem << "\n";
  return report.problems.empty() ? ExitStatus::kDone : ExitStatus::kCheckpoint;
}

ExitStatus check(const std::string& path) {
  const CheckpointReport report = inspect_checkpoint(posix_files(), path, /*verify=*/true);
  for (const std::string& problem : report.problems) std::cout << "wrong: " << problem << "\n";
  if (report.verified && report.problems.empty()) {
    std::cout << fmt::format("{}: whole; every byte agrees with the manifest\n",
                             report.directory.string());
    return ExitStatus::kDone;
  }
  if (report.problems.empty())
    std::cout << report.directory.string() << ": well-formed; it has no manifest to compare with\n";
  return report.problems.empty() ? ExitStatus::kDone : ExitStatus::kCheckpoint;
}

/// The model directory without what only training needs.
ExitStatus export_model(const std::string& path, const std::string& to) {
  const ChosenCheckpoint chosen = choose_checkpoint(posix_files(), path);
  for (const std::string& sentence : chosen.passed_over)
    std::cerr << "triga: warning: " << sentence << "\n";
  if (fs::exists(to)) throw ConfigError(to + " exists already; name a new folder");
  const fs::path draft = to + ".tmp";
  fs::remove_all(draft);
  fs::copy(chosen.directory, draft, fs::copy_options::recursive);
  fs::remove_all(draft / "training");
  fs::rename(draft, to);
  std::cout << fmt::format("{} -> {}\n", chosen.directory.string(), to);
  return ExitStatus::kDone;
}

}  // namespace

void add_checkpoint(CLI::App& app, Command& command) {
  CLI::App* sub = app.add_subcommand("checkpoint", "Look at, verify or export a checkpoint.");
  sub->require_subcommand(1);
  auto path = std::make_shared<std::string>();
  auto to = std::make_shared<std::string>();
  CLI::App* inspect_command =
      sub->add_subcommand("inspect", "What it holds: step, versions, every tensor.");
  inspect_command->add_option("dir", *path, "Checkpoint or model directory")->required();
  inspect_command->callback([&command, path] { command.run = [path] { return inspect(*path); }; });
  CLI::App* check_command =
      sub->add_subcommand("check", "Read every byte and compare with the manifest. Exit 0 or 5.");
  check_command->add_option("dir", *path, "Checkpoint or model directory")->required();
  check_command->callback([&command, path] { command.run = [path] { return check(*path); }; });
  CLI::App* export_command =
      sub->add_subcommand("export", "Copy the model without what only training needs.");
  export_command->add_option("run_or_checkpoint", *path, "Run directory or checkpoint")->required();
  export_command->add_option("to", *to, "New folder")->required();
  export_command->callback(
      [&command, path, to] { command.run = [path, to] { return export_model(*path, *to); }; });
}

}  // namespace triga
