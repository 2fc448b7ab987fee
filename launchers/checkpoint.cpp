// triga checkpoint inspect|check|export: what a checkpoint holds, and whether it is whole.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>
#include <random>

#include "checkpoint/convert.h"
#include "checkpoint/inspect.h"
#include "checkpoint/reader.h"
#include "launchers/command.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, at::ScalarType> kDtypes = {
    {"fp32", at::kFloat}, {"bf16", at::kBFloat16}, {"fp16", at::kHalf}};

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

/// Of a run its checkpoints, newest first; else the directory itself.
std::vector<Path> checkpoints_at(const std::string& path) {
  const auto of_run = checkpoints_of_run(posix_files(), path);
  if (of_run && of_run->empty()) throw CheckpointError(path + ": this run has no checkpoint yet");
  return of_run.value_or(std::vector<Path>{path});
}

ExitStatus inspect(const std::string& path) {
  const std::vector<Path> directories = checkpoints_at(path);
  if (directories.size() > 1)
    std::cerr << fmt::format("triga: the newest of {} checkpoints\n", directories.size());
  const CheckpointReport report =
      inspect_checkpoint(posix_files(), directories.front(), /*verify=*/false);
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

/// Says whether it is whole.
bool check_one(const Path& directory) {
  const CheckpointReport report = inspect_checkpoint(posix_files(), directory, /*verify=*/true);
  for (const std::string& problem : report.problems)
    std::cout << fmt::format("{}: wrong: {}\n", directory.string(), problem);
  if (!report.problems.empty()) return false;
  std::cout << fmt::format("{}: {}\n", directory.string(),
                           report.verified ? "whole; every byte agrees with the manifest"
                                           : "well-formed; it has no manifest to compare with");
  return true;
}

ExitStatus check(const std::string& path) {
  bool is_whole = true;
  for (const Path& directory : checkpoints_at(path)) {
    try {
      is_whole &= check_one(directory);
    } catch (const CheckpointError& error) {
      if (directory == path) throw;
      if (!exists(posix_files(), directory)) continue;  // the run removed it meanwhile
      std::cout << fmt::format("{}: wrong: {}\n", directory.string(), error.what());
      is_whole = false;
    }
  }
  return is_whole ? ExitStatus::kDone : ExitStatus::kCheckpoint;
}

/// A folder beside `target` that was not there before, to be filled and renamed.
fs::path make_draft(const fs::path& target) {
  if (target.has_parent_path()) fs::create_directories(target.parent_path());
  for (std::random_device random;;) {
    const fs::path draft =
        target.parent_path() / fmt::format(".{}.{:08x}.tmp", target.filename().string(), random());
    if (fs::create_directory(draft)) return draft;
  }
}

/// `dtype`: of floating-point weights; empty: as they are.
void copy_model(const fs::path& from, const fs::path& target, const std::string& dtype) {
  const fs::path draft = make_draft(target);
  try {
    for (const fs::directory_entry& entry : fs::directory_iterator(from))
      if (entry.path().filename() != "training")
        fs::copy(entry.path(), draft / entry.path().filename(), fs::copy_options::recursive);
    if (!dtype.empty()) convert_weights(posix_files(), draft, kDtypes.at(dtype));
    fs::rename(draft, target);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(draft, ignored);
    throw;
  }
}

/// The model directory without what only training needs.
ExitStatus export_model(const std::string& path, const std::string& to, const std::string& dtype) {
  const ChosenCheckpoint chosen = choose_checkpoint(posix_files(), path);
  for (const std::string& sentence : chosen.passed_over)
    std::cerr << "triga: warning: " << sentence << "\n";
  std::error_code unreadable;  // then the copy says so
  if (fs::exists(to, unreadable)) throw ConfigError(to + " exists already; name a new folder");
  fs::path target = fs::path(to).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "out/"
  try {
    copy_model(chosen.directory, target, dtype);
  } catch (const FileError& error) {
    throw CheckpointError(error.what());
  } catch (const fs::filesystem_error& error) {
    throw CheckpointError(
        fmt::format("cannot write {}: {} ({})", to, error.code().message(),
                    error.path2().empty() ? error.path1().string() : error.path2().string()));
  }
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
  inspect_command
      ->add_option("dir", *path,
                   "Run directory (its newest checkpoint), checkpoint or model directory")
      ->required();
  inspect_command->callback([&command, path] { command.run = [path] { return inspect(*path); }; });
  CLI::App* check_command =
      sub->add_subcommand("check", "Read every byte and compare with the manifest. Exit 0 or 5.");
  check_command
      ->add_option("dir", *path,
                   "Run directory (all its checkpoints), checkpoint or model directory")
      ->required();
  check_command->callback([&command, path] { command.run = [path] { return check(*path); }; });
  CLI::App* export_command =
      sub->add_subcommand("export", "Copy the model without what only training needs.");
  export_command->add_option("run_or_checkpoint", *path, "Run directory or checkpoint")->required();
  export_command->add_option("to", *to, "New folder")->required();
  auto dtype = std::make_shared<std::string>();
  export_command
      ->add_option("--dtype", *dtype, "Type of the weights: fp32, bf16 or fp16 (default: as saved)")
      ->check(CLI::IsMember(kDtypes));
  export_command->callback([&command, path, to, dtype] {
    command.run = [path, to, dtype] { return export_model(*path, *to, *dtype); };
  });
  sub->footer(
      "\nExamples:\n  triga checkpoint check runs/quickstart\n"
      "  triga checkpoint export runs/quickstart my-model --dtype bf16");
}

}  // namespace triga
