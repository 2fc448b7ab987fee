// What every architecture of every plugin must hold, whatever it computes: the promises of
// triga/architecture.h that the core relies on. One suite, run on each .so of the build tree with
// the cases of cases.cpp.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "parallel/pipeline/flow.h"
#include "plugin_host/library.h"
#include "plugin_host/search_path.h"
#include "tests/plugins/cases.h"
#include "tests/support/cut_model.h"

namespace triga {
namespace {

using test::Case;
using ::testing::Contains;
using ::testing::IsEmpty;
using ::testing::Not;

struct OpenedPlugin {
  const PluginDescriptor* descriptor;
  Registry registry;
};

const std::vector<std::filesystem::path> kFolders = {TRIGA_PLUGINS, TRIGA_DOCUMENTED_PLUGINS};

OpenedPlugin open_plugin(const std::string& name) {
  const auto file = PluginFile::inspect(PluginSearchPath(kFolders).find(name));
  const auto& descriptor = load_plugin(file);
  return {&descriptor, registered_kinds(descriptor, file)};
}

std::vector<std::string> built_plugins() {
  std::vector<std::string> names;
  for (const auto& plugin : PluginSearchPath(kFolders).all()) names.push_back(plugin.name);
  return names;
}

TEST(Plugins, EveryArchitectureHasACase) {
  std::set<std::string> cases;
  for (const auto& test_case : test::conformance_cases()) cases.insert(test_case.name());
  for (const auto& plugin : built_plugins()) {
    const auto opened = open_plugin(plugin);
    for (const auto& kind : opened.registry.architectures.kinds())
      EXPECT_THAT(cases, Contains(plugin + "_" + kind.name));
  }
}

TEST(Plugins, AreNamedAsTheirFilesAndSayWhatEachKindIs) {
  for (const auto& name : built_plugins()) {
    const auto plugin = open_plugin(name);
    EXPECT_EQ(plugin.descriptor->name, name);
    for (const auto& kind : plugin.registry.architectures.kinds())
      EXPECT_NE(kind.help, "") << kind.name;
    for (const auto& kind : plugin.registry.datasets.kinds()) EXPECT_NE(kind.help, "") << kind.name;
  }
}

class Conformance : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    at::set_num_threads(1);  // faster for small models
    plugin_ = open_plugin(GetParam().plugin);
    for (const auto& kind : plugin_.registry.architectures.kinds())
      if (kind.name == GetParam().kind) kind_ = &kind;
    ASSERT_NE(kind_, nullptr) << "no such kind";
    model_ = make();
  }

  std::unique_ptr<Architecture> make() const {
    return kind_->create(GetParam().config_node(), {tokenizer()});
  }
  const Tokenizer* tokenizer() const { return GetParam().has_tokenizer ? &tokenizer_ : nullptr; }

  Batch batch(int64_t first, int64_t count, int64_t microbatch = 0) const {
    std::vector<Sample> samples;
    for (int64_t i = first; i < first + count; ++i) samples.push_back(GetParam().sample(i));
    CollateContext context;
    context.first_position = first;
    context.key = RandomKey(9);
    context.training = true;
    auto batch = model_->collate(samples, context);
    batch.microbatch = microbatch;
    return batch;
  }

  std::vector<Batch> batches() const { return {batch(0, 3), batch(3, 1, 1), batch(4, 4, 2)}; }

  OpenedPlugin plugin_;
  const Kind<Architecture, ArchitectureContext>* kind_ = nullptr;
  test::LetterTokenizer tokenizer_;
  std::unique_ptr<Architecture> model_;
};

TEST_P(Conformance, EveryOptionIsDescribedAndResolvingIsStable) {
  const auto schema = kind_->schema();
  const auto* properties = schema.find("properties");
  ASSERT_NE(properties, nullptr);
  for (const auto& [key, property] : properties->entries) {
    const auto* help = property.find("description");
    EXPECT_TRUE(help && !help->scalar.empty()) << key << " has no help";
  }
  const auto resolved = kind_->resolve(GetParam().config_node(), {});
  const auto again = kind_->resolve(resolved, {});
  ASSERT_EQ(resolved.entries.size(), properties->entries.size()) << "resolving names every option";
  for (const auto& [key, value] : resolved.entries) {
    EXPECT_EQ(value.scalar, again.find(key)->scalar) << key;
    EXPECT_EQ(value.kind, again.find(key)->kind) << key;
  }
}

TEST_P(Conformance, LayersAreTheSameEveryTimeAndTakeNoMemory) {
  const auto specs = model_->layers();
  const auto others = make()->layers();
  check_layers(specs);
  ASSERT_EQ(specs.size(), others.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto layer = specs[i].build(), other = others[i].build();
    EXPECT_EQ(specs[i].name, others[i].name);
    ASSERT_EQ(layer->parameters().size(), other->parameters().size());
    for (size_t k = 0; k < layer->parameters().size(); ++k) {
      const auto& spec = layer->parameters()[k].spec();
      EXPECT_EQ(spec.name, other->parameters()[k].spec().name);
      EXPECT_EQ(spec.shape, other->parameters()[k].spec().shape);
      EXPECT_FALSE(layer->parameters()[k].tensor().defined()) << spec.name << " was allocated";
      EXPECT_EQ(model_->parameter_name(spec.name), spec.name)
          << "its own name means another parameter";
    }
  }
}

TEST_P(Conformance, CollateIsAFunctionOfItsArguments) {
  const auto first = batch(0, 4), again = batch(0, 4);
  EXPECT_EQ(first.num_samples, 4);
  ASSERT_EQ(first.fields.size(), again.fields.size());
  for (const auto& [name, tensor] : first.fields) {
    EXPECT_EQ(tensor.size(0), 4) << name;
    EXPECT_TRUE(tensor.equal(again[name])) << name;
    EXPECT_TRUE(tensor.is_cpu()) << name;
  }
}

TEST_P(Conformance, TrainingGivesEveryParameterAFiniteGradient) {
  const auto record = test::CutModel(*model_, {}).train(batches(), false);
  EXPECT_GT(model_->loss()->count(batch(0, 3), "loss"), 0);
  for (const auto& [name, tensor] : record) {
    EXPECT_TRUE(tensor.isfinite().all().item<bool>()) << name;
    if (name.find("gradient of") != std::string::npos)
      EXPECT_NE(tensor.abs().sum().item<float>(), 0) << name;
  }
}

TEST_P(Conformance, TheSameBitsComeAgain) {
  const auto first = test::CutModel(*model_, {}).train(batches(), false);
  EXPECT_THAT(test::differences(first, test::CutModel(*make(), {}).train(batches(), false)),
              IsEmpty());
}

TEST_P(Conformance, EveryCutIsTheUncutModelToTheBit) {
  test::CutModel uncut(*model_, {});
  const auto expected = uncut.train(batches(), false);
  std::vector<size_t> all;
  for (size_t cut = 1; cut < uncut.num_layers(); ++cut) {
    all.push_back(cut);
    EXPECT_THAT(test::differences(expected, test::CutModel(*model_, {cut}).train(batches(), false)),
                IsEmpty())
        << "cut before layer " << cut;
  }
  EXPECT_THAT(test::differences(expected, test::CutModel(*model_, all).train(batches(), false)),
              IsEmpty());
}

TEST_P(Conformance, NothingIsDrawnFromLibTorchsGenerator) {
  const auto generator = at::detail::getDefaultCPUGenerator();
  const auto before = generator.get_state();
  test::CutModel(*model_, {}).train(batches(), false);
  EXPECT_TRUE(before.equal(generator.get_state()));
}

TEST_P(Conformance, MetricsMergeToWhatOneRankWouldCount) {
  const auto whole = model_->metrics(), parts = model_->metrics(), merged = model_->metrics();
  ASSERT_EQ(whole.size(), parts.size());
  test::CutModel model(*model_, {});
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const auto& part : {batch(0, 3), batch(3, 1)}) {
      const auto outputs = model.evaluate(part);
      whole[i]->update(part, outputs);
      parts[i]->reset();
      parts[i]->update(part, outputs);
      merged[i]->merge(parts[i]->state());
    }
    EXPECT_DOUBLE_EQ(whole[i]->result(), merged[i]->result()) << whole[i]->name();
    merged[i]->reset();
    parts[i]->reset();
    EXPECT_DOUBLE_EQ(merged[i]->result(), parts[i]->result());
  }
}

TEST_P(Conformance, AModelDirectoryFitsTheModelThatWroteIt) {
  const auto directory = model_->model_directory();
  EXPECT_NO_THROW(model_->check_compatible(directory.files));
  EXPECT_THAT(directory.files, Not(IsEmpty()));
  std::set<std::string> components;
  for (const auto& component : directory.components) components.insert(component.component);
  for (const auto& layer : model_->layers())
    EXPECT_THAT(components, Contains(layer.component)) << layer.name;
}

TEST_P(Conformance, ASamplerGivesTheSameAgain) {
  const auto sampler = model_->sampler();
  ASSERT_EQ(sampler.has_value(), !GetParam().sampler_inputs.empty())
      << "a kind that generates has a case that does, and no other";
  if (!sampler) return;
  test::CutModel model(*model_, {});
  const auto generate = [&](const ConfigNode& inputs) {
    std::map<std::string, std::string> results;  // text under ""
    SamplerContext context;
    context.tokenizer = tokenizer();
    context.print = [&](std::string_view part) { results[""] += part; };
    context.save = [&](const std::string& name, std::string_view content) {
      EXPECT_TRUE(results.try_emplace(name, content).second) << name << " comes twice";
    };
    sampler->create(inputs)->generate(model, context);
    return results;
  };
  const auto results = generate(test::mapping_of(GetParam().sampler_inputs));
  EXPECT_THAT(results, Not(IsEmpty()));
  EXPECT_EQ(results, generate(sampler->resolve(test::mapping_of(GetParam().sampler_inputs))));
}

INSTANTIATE_TEST_SUITE_P(All, Conformance, ::testing::ValuesIn(test::conformance_cases()),
                         [](const auto& info) { return info.param.name(); });

}  // namespace
}  // namespace triga
