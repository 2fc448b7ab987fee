// triga evaluate: loss and metrics of a split, in one process.
#include <fmt/format.h>

#include <iostream>
#include <nlohmann/json.hpp>

#include "data/loader.h"
#include "launchers/command.h"
#include "launchers/loaded_model.h"
#include "trainer/step_batches.h"

namespace triga {
namespace {

struct EvaluateArguments {
  ModelArguments model;
  std::string split = "validation";
  bool as_json = false;
};

const Dataset& dataset_of(const Assembly& assembly, const std::string& split) {
  const Dataset* dataset = split == "train"        ? assembly.train.get()
                           : split == "validation" ? assembly.validation.get()
                                                   : assembly.test.get();
  if (dataset == nullptr) throw ConfigError("the experiment has no data." + split);
  return *dataset;
}

ExitStatus evaluate(const CommandEnvironment& environment, const EvaluateArguments& arguments) {
  LoadedModel model(environment, arguments.model, {arguments.split});
  const Assembly& assembly = model.assembly();
  const LoaderOptions options =
      loader_options_of(model.experiment(), *assembly.architecture,
                        dataset_of(assembly, arguments.split), arguments.split);
  EvaluationLoader loader(options, model.experiment().train.microbatch_size);
  const EvaluationResult result = model.strategy().evaluate([&] { return loader.next(); });
  nlohmann::ordered_json json = {{"checkpoint", model.checkpoint().directory.string()},
                                 {"split", arguments.split},
                                 {"samples", options.dataset->size()},
                                 {"loss", result.loss.mean()}};
  for (const auto& [name, value] : result.metrics) json[name] = value;
  if (arguments.as_json) {
    std::cout << json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    return ExitStatus::kDone;
  }
  for (const auto& [key, value] : json.items())
    std::cout << fmt::format("{:<12} {}\n", key,
                             value.is_string() ? value.get<std::string>() : value.dump());
  return ExitStatus::kDone;
}

}  // namespace

void add_evaluate(CLI::App& app, Command& command) {
  auto arguments = std::make_shared<EvaluateArguments>();
  CLI::App* sub =
      app.add_subcommand("evaluate", "Loss and metrics of a trained model on a split of its data.");
  arguments->model.add_to(*sub);
  sub->add_option("--split", arguments->split, "Which data")
      ->check(CLI::IsMember({"train", "validation", "test"}))
      ->capture_default_str();
  sub->add_flag("--json", arguments->as_json, "One JSON object");
  sub->footer("\nExample:\n  triga evaluate runs/quickstart --split validation");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return evaluate(command.environment, *arguments); };
  });
}

}  // namespace triga
