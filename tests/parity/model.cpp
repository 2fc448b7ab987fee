// model PLUGIN KIND FOLDER MODEL: what a kind of model makes of the model directory FOLDER/MODEL,
// for KIND.py to compare.
//   reads   FOLDER/options.txt (`key value` lines), FOLDER/samples.safetensors (the samples'
//           fields, in order of names: "000.tokens", "001.label", "001.tokens", ...)
//           With an option vocab_size the model gets a tokenizer of so many numbers.
//           FOLDER/sampler.txt, if it is there: inputs of the sampler
//   writes  FOLDER/MODEL.safetensors: outputs and gradients of the first batch, losses of some
//           steps, the fields of every batch, norms of gradients inside of layers; the same of an
//           evaluation, with its metrics; of a language model greedy tokens
//           FOLDER/MODEL-written: a checkpoint of the weights as they were read
//           FOLDER/MODEL-NAME: each file that the sampler saves, and what it prints, printed.txt
#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <sstream>

#include "checkpoint/checksum.h"
#include "checkpoint/initialize.h"
#include "checkpoint/writer.h"
#include "comm/local_communicator.h"
#include "config/find_kind.h"
#include "config/yaml.h"
#include "optim/optimizers.h"
#include "parallel/strategy.h"
#include "plugin_host/library.h"
#include "triga/tokenizer.h"

namespace triga {
namespace {

constexpr int kNumSteps = 10;
constexpr size_t kMicrobatchSize = 3, kMicrobatchesPerStep = 2;
constexpr double kLearningRate = 3e-3, kWeightDecay = 0.1, kClipNorm = 1;

/// Tokens as numbers with spaces between, so that a text is a list of tokens. The first five are
/// BERT's special tokens.
class NumberTokenizer final : public Tokenizer {
 public:
  explicit NumberTokenizer(int64_t vocab_size) : vocab_size_(vocab_size) {}
  int64_t vocab_size() const override { return vocab_size_; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::istringstream words{std::string(text)};
    std::vector<int32_t> tokens;
    for (int32_t token; words >> token;) tokens.push_back(token);
    return tokens;
  }
  std::string decode(const std::vector<int32_t>& tokens) const override {
    std::string text;
    for (const auto token : tokens) text += std::to_string(token) + " ";
    return text;
  }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::optional<int32_t> token_id(std::string_view token) const override {
    constexpr std::string_view kSpecial[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    const auto* found = std::find(std::begin(kSpecial), std::end(kSpecial), token);
    if (found == std::end(kSpecial)) return std::nullopt;
    return static_cast<int32_t>(found - std::begin(kSpecial));
  }
  std::map<std::string, std::string> files() const override { return {}; }

 private:
  int64_t vocab_size_;
};

ConfigNode read_options(const Path& path) {
  auto options = ConfigNode::make_mapping();
  std::ifstream file(path);
  for (std::string key, value; file >> key && std::getline(file >> std::ws, value);)
    options.add(key, value.starts_with('[') ? parse_yaml_value(value, path.string(), key)
                                            : ConfigNode::make_scalar(value));
  return options;
}

std::vector<Sample> read_samples(const Path& folder) {
  const TensorFiles stored(posix_files(), folder, "samples");
  std::vector<Sample> samples;
  std::string last;
  for (const auto& name : stored.names()) {
    const size_t dot = name.find('.');
    if (name.substr(0, dot) != last) samples.emplace_back();
    last = name.substr(0, dot);
    samples.back().set(name.substr(dot + 1), stored.read(name));
  }
  return samples;
}

void read_weights(const Path& directory, const Architecture& architecture, ParameterStore& store) {
  architecture.check_compatible(read_model_files(posix_files(), directory));
  std::vector<ParameterSpec> specs;
  for (const auto& parameter : store.parameters()) {
    specs.push_back({parameter.name, parameter.shape, parameter.init});
    parameter.value.detach().fill_(NAN);  // so that one that is not read shows
  }
  const ComponentFiles component = architecture.model_directory().components.at(0);
  const TensorFiles stored(posix_files(), directory / component.folder, component.weights);
  const auto plan = plan_initialization(stored, architecture, specs, {});
  for (const auto& [name, stored_name] : plan.stored)
    stored.read_converted(stored_name, store.find(name)->value.detach());
}

std::unique_ptr<Optimizer> make_optimizer() {
  Registry registry;
  register_core_optimizers(registry);
  auto config = ConfigNode::make_mapping();
  config.add("weight_decay", ConfigNode::make_scalar(std::to_string(kWeightDecay)));
  return find_kind(registry.optimizers, "optimizer", "", ConfigNode::make_scalar("adamw"))
      .create(config, {});
}

class Parity {
 public:
  Parity(const Path& folder, const std::string& model, const Architecture& architecture)
      : folder_(folder),
        model_(model),
        architecture_(architecture),
        samples_(read_samples(folder)),
        world_(make_single_communicator()),
        strategy_(architecture, *world_, {}, make_optimizer()) {
    read_weights(folder / model, architecture, strategy_.parameters());
  }

  void run() {
    write_checkpoint();
    TensorsByName results;
    if (continues_texts()) results["greedy"] = greedy();
    if (std::filesystem::exists(folder_ / "sampler.txt")) generate();
    auto batches = batches_of(0);
    for (const auto& [name, output] : strategy_.predictor().predict(batches[0], nullptr))
      results[name] = output.clone();
    for (int step = 0; step < kNumSteps; ++step)
      for (const Batch& batch : batches_of(step))
        for (const auto& [name, field] : batch.fields)
          results[c10::str("batch.", step, ".", batch.microbatch, ".", name)] = field.clone();
    evaluate(results);
    batches.resize(1);
    strategy_.watch_gradients();
    results["loss"] = at::tensor(strategy_.forward_backward(batches, 0).mean(), at::kDouble);
    for (const auto& [name, norms] : strategy_.take_gradient_norms())
      results["gradient_norms." + name] = at::tensor(norms, at::kDouble);
    for (const auto& parameter : strategy_.parameters().parameters())
      results["gradient." + parameter.name] = parameter.gradient.clone();
    results["losses"] = train();
    ChecksummedFile file(posix_files(), folder_, model_ + ".safetensors");
    write_safetensors(file, results, {});
    file.finish();
  }

 private:
  std::vector<Batch> batches_of(int step, bool training = true) const {
    std::vector<Batch> batches;
    auto next = samples_.begin() + step * int64_t(kMicrobatchSize * kMicrobatchesPerStep);
    for (size_t i = 0; i < kMicrobatchesPerStep; ++i, next += kMicrobatchSize) {
      CollateContext context;
      context.first_position = next - samples_.begin();
      context.training = training;
      batches.push_back(architecture_.collate({next, next + kMicrobatchSize}, context));
      batches.back().microbatch = int64_t(i);
    }
    return batches;
  }

  /// Of the first step's samples: loss, metrics, and what they were made from.
  void evaluate(TensorsByName& results) {
    const std::vector<Batch> batches = batches_of(0, /*training=*/false);
    size_t next = 0;
    const EvaluationResult result = strategy_.evaluate([&]() -> std::optional<Batch> {
      if (next == batches.size()) return std::nullopt;
      return batches[next++];
    });
    results["evaluation.loss"] = at::tensor(result.loss.mean(), at::kDouble);
    for (const auto& [name, value] : result.metrics)
      results["evaluation." + name] = at::tensor(value, at::kDouble);
    for (const Batch& batch : batches)
      for (const auto& [name, field] : batch.fields)
        results[c10::str("evaluation.batch.", batch.microbatch, ".", name)] = field.clone();
  }

  at::Tensor train() {
    std::vector<double> losses;
    for (int step = 0; step < kNumSteps; ++step) {
      losses.push_back(strategy_.forward_backward(batches_of(step), step).mean());
      strategy_.clip_gradients(kClipNorm);
      strategy_.update(kLearningRate);
    }
    return at::tensor(losses, at::kDouble);
  }

  bool continues_texts() const {
    const auto sampler = architecture_.sampler();
    return sampler && sampler->schema().find("properties")->find("prompt") != nullptr;
  }

  /// The tokens that the sampler writes at temperature 0 after the first tokens of the first
  /// sample.
  at::Tensor greedy() {
    const auto& tokens = samples_[0]["tokens"];
    const NumberTokenizer tokenizer(1 << 20);
    std::string prompt, text;
    for (int i = 0; i < 3; ++i) prompt += std::to_string(tokens[i].item<int64_t>()) + " ";
    auto inputs = ConfigNode::make_mapping();
    inputs.add("prompt", ConfigNode::make_scalar(prompt, /*quoted=*/true));
    inputs.add("temperature", ConfigNode::make_scalar("0"));
    inputs.add("max_new_tokens", ConfigNode::make_scalar("20"));
    const auto sampler = architecture_.sampler()->create(inputs);
    sampler->generate(strategy_.predictor(),
                      {&tokenizer, [&](std::string_view part) { text += part; }, {}});
    const auto written = tokenizer.encode(text);
    return at::tensor(std::vector<int64_t>(written.begin(), written.end()), at::kLong);
  }

  void generate() {
    const auto write = [&](const std::string& name, std::string_view content) {
      std::ofstream(folder_ / (model_ + "-" + name), std::ios::app) << content;
    };
    architecture_.sampler()
        ->create(read_options(folder_ / "sampler.txt"))
        ->generate(strategy_.predictor(),
                   {nullptr, [&](std::string_view text) { write("printed.txt", text); }, write});
  }

  void write_checkpoint() {
    Snapshot snapshot;
    snapshot.model = architecture_.model_directory();
    for (const auto& parameter : strategy_.parameters().parameters())
      snapshot.weights[parameter.component][parameter.name] = parameter.value.detach();
    CheckpointWriter(posix_files(), folder_ / (model_ + "-written"), {}).save(snapshot);
  }

  Path folder_;
  std::string model_;
  const Architecture& architecture_;
  std::vector<Sample> samples_;
  std::unique_ptr<Communicator> world_;
  Strategy strategy_;
};

void run(const std::string& plugin, const std::string& kind_name, const Path& folder,
         const std::string& model) {
  const auto file = PluginFile::inspect(Path(TRIGA_PLUGINS) / (plugin + ".so"));
  const auto registry = registered_kinds(load_plugin(file), file);
  const auto& kind =
      find_kind(registry.architectures, "architecture", plugin, ConfigNode::make_scalar(kind_name));
  const ConfigNode options = read_options(folder / "options.txt");
  std::optional<NumberTokenizer> tokenizer;
  if (const ConfigNode* size = options.find("vocab_size"))
    tokenizer.emplace(std::stoll(size->scalar));
  const auto architecture =
      kind.create(options, ArchitectureContext{tokenizer ? &*tokenizer : nullptr});
  Parity(folder, model, *architecture).run();
}

}  // namespace
}  // namespace triga

int main(int, char** arguments) {
  try {
    triga::run(arguments[1], arguments[2], arguments[3], arguments[4]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
