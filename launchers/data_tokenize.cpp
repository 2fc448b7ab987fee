// triga data tokenize: the token files of an experiment's text, made ahead of training, so that no
// rank waits for them. They lie in the cache, where training finds them.
#include <fmt/format.h>

#include <iostream>

#include "data/cached_tokens.h"
#include "launchers/command.h"
#include "launchers/loaded_experiment.h"

namespace triga {
namespace {

/// A line about one split. Throws: DataError when the cache did not take its tokens.
std::string line_of(const std::string& split, const std::string& kind, const Dataset& dataset) {
  const auto tokens = tokens_on_disk(dataset);
  if (!tokens) return fmt::format("{}: kind {} keeps no token file\n", split, kind);
  if (tokens->path.empty())
    throw DataError(c10::str("the tokens of ", split, " could not be kept in the cache"));
  return fmt::format("{}: {:L} tokens of {:L} document{} in {}\n", split, tokens->num_tokens,
                     tokens->num_documents, tokens->num_documents == 1 ? "" : "s",
                     tokens->path.string());
}

ExitStatus tokenize(const CommandEnvironment& environment, const ExperimentArguments& arguments) {
  const LoadedExperiment loaded(environment, arguments, LoadedExperiment::Purpose::kLook);
  const DataConfig& data = loaded.experiment().data;
  if (!data.tokenizer)
    throw ConfigError(
        "the experiment has no data.tokenizer: it reads no text that could be cut into tokens");
  const Assembly assembly = loaded.assemble(environment, {"train", "validation", "test"});
  std::cout << fmt::format("tokenizer: {}, {:L} tokens\n", data.tokenizer->kind,
                           assembly.tokenizer->vocab_size())
            << line_of("train", data.train.kind, *assembly.train);
  if (data.validation)
    std::cout << line_of("validation", data.validation->kind, *assembly.validation);
  if (data.test) std::cout << line_of("test", data.test->kind, *assembly.test);
  return ExitStatus::kDone;
}

}  // namespace

void add_data_tokenize(CLI::App& data, Command& command) {
  auto arguments = std::make_shared<ExperimentArguments>();
  CLI::App* sub = data.add_subcommand(
      "tokenize",
      "Cut the text of an experiment into tokens, ahead of training, and say where they lie and "
      "how many they are. A vocabulary that is to be learned is learned.");
  arguments->add_file_to(*sub);
  sub->footer(
      "\nThe files lie in TRIGA_CACHE_DIR (default ~/.cache/triga) under what text and tokenizer "
      "are; `triga train` with\nthe same cache finds them. Several processes may do this at the "
      "same time: one works, the others wait for it.\n\nExample:\n"
      "  triga data tokenize experiments/transformer/gpt2_shakespeare_bpe.yaml");
  sub->callback([&command, arguments] {
    command.run = [&command, arguments] { return tokenize(command.environment, *arguments); };
  });
}

}  // namespace triga
