// triga generate: lets the sampler of a model's family generate: text, images, forecasts.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "base/files.h"
#include "base/plugin_call.h"
#include "base/progress_bar.h"
#include "launchers/command.h"
#include "launchers/inputs_file.h"
#include "launchers/loaded_model.h"

namespace triga {
namespace {

namespace fs = std::filesystem;

struct GenerateArguments {
  ModelArguments model;
  std::vector<std::string> inputs;  // "prompt=To be"
  std::string inputs_file;          // JSON lines: an object of inputs a line
  std::string output_dir;
};

/// Where samplers put files. Most generate text only: then nothing is left behind.
class OutputFolder {
 public:
  explicit OutputFolder(const std::string& path)
      : path_(fs::absolute(path.empty() ? "samples" : path)) {
    std::error_code error;
    was_made_ = fs::create_directories(path_, error);
    if (error)
      throw DataError(
          fmt::format("cannot make --output-dir {}: {}", path_.string(), error.message()));
  }
  ~OutputFolder() {
    std::error_code not_empty;
    if (was_made_) fs::remove(path_, not_empty);
  }
  OutputFolder(const OutputFolder&) = delete;
  OutputFolder& operator=(const OutputFolder&) = delete;
  /// Throws: DataError.
  void save(const std::string& name, std::string_view content) const {
    try {
      atomic_write(posix_files(), path_ / name, content);
    } catch (const FileError& error) {
      throw DataError(error.what());
    }
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool was_made_ = false;
};

void generate_once(LoadedModel& model, const SamplerKind& kind, const ConfigNode& inputs,
                   const OutputFolder& folder, const ReportProgress& report_progress) {
  bool has_text = false;
  std::vector<std::string> saved;
  SamplerContext context;
  context.report_progress = report_progress;
  context.tokenizer = model.assembly().tokenizer.get();
  context.files = model.files();
  context.print = [&](std::string_view text) {
    has_text = true;
    std::cout << text << std::flush;
  };
  context.save = [&](const std::string& name, std::string_view content) {
    folder.save(name, content);
    saved.push_back(name);
  };
  const std::unique_ptr<Sampler> sampler = kind.create(inputs);
  const PluginCode code = code_of("sampler", *sampler);
  PluginCall("generate", code).run([&] {
    sampler->generate(model.strategy().predictor(), context);
  });
  if (has_text) std::cout << std::endl;
  if (saved.empty()) return;
  constexpr size_t kMostNames = 4;  // the last: a summary comes after its parts
  const auto shown = saved.end() - static_cast<std::ptrdiff_t>(std::min(saved.size(), kMostNames));
  std::cout << fmt::format("{} {} in {}: {}{}\n", saved.size(),
                           saved.size() == 1 ? "file" : "files", folder.path().string(),
                           shown == saved.begin() ? "" : "..., ",
                           fmt::join(shown, saved.end(), ", "));
}

ExitStatus generate(const CommandEnvironment& environment, const GenerateArguments& arguments) {
  LoadedModel model(environment, arguments.model, /*splits=*/{});
  const std::optional<SamplerKind> kind = model.assembly().architecture->sampler();
  if (!kind)
    throw ConfigError(fmt::format("{} {} does not generate anything",
                                  model.experiment().model.plugin, model.experiment().model.kind));
  std::vector<ConfigNode> inputs;
  if (arguments.inputs_file.empty())
    inputs.push_back(inputs_of(arguments.inputs));
  else
    inputs = read_inputs_file(arguments.inputs_file);
  const OutputFolder folder(arguments.output_dir);
  Terminal terminal({.descriptor = STDERR_FILENO, .is_interactive = environment.is_terminal});
  const ReportProgress report_progress = progress_bar(terminal);
  for (const ConfigNode& each : inputs) generate_once(model, *kind, each, folder, report_progress);
  return ExitStatus::kDone;
}

}  // namespace

void add_generate(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<GenerateArguments>();
  CLI::App* sub =
      app.add_subcommand("generate", "Generate with a trained model: text, images, forecasts.");
  arguments->model.add_to(*sub);
  sub->add_option("--input", arguments->inputs,
                  "Input of the sampler: --input prompt='To be' (may be repeated)")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all()
      ->type_name("KEY=VALUE");
  sub->add_option("--inputs", arguments->inputs_file,
                  "File of JSON objects, one a line, each the inputs of one generation");
  sub->add_option("--output-dir", arguments->output_dir,
                  "Folder for results that are files. Default: samples/");
  sub->footer(
      "\nExample:\n  triga generate runs/quickstart --input prompt='def ' --input "
      "max_new_tokens=200\n"
      "Inputs of a family: plugins/<family>/README.md");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return generate(command.environment, *arguments); };
  });
}

}  // namespace triga
