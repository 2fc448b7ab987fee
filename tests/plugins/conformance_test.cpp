// The conformance suite (framework/conformance) on each .so of the build tree, with the cases of
// cases.cpp; `triga plugin check` runs the same checks on any plugin.
#include <ATen/Parallel.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <set>

#include "config/kind_sections.h"
#include "conformance/kind_checks.h"
#include "conformance/subject.h"
#include "conformance/use.h"
#include "plugin_host/library.h"
#include "plugin_host/search_path.h"
#include "tests/plugins/cases.h"
#include "tests/support/temporary_folder.h"

namespace triga {
namespace {

using conformance::Check;
using test::Case;
using ::testing::Contains;
using ::testing::IsEmpty;

struct OpenedPlugin {
  const PluginDescriptor* descriptor;
  Registry registry;
};

const std::vector<std::filesystem::path> kFolders = {TRIGA_PLUGINS, TRIGA_SCAFFOLD_PLUGIN};

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
    for (const auto& section : kind_sections(plugin.registry))
      for (const auto& kind : section.kinds) EXPECT_NE(kind.help, "") << kind.name;
  }
}

/// A case with its kind.
class OpenedCase : public ::testing::Test {
 protected:
  void open(const Case& given) {
    at::set_num_threads(1);  // faster for small models
    case_ = &given;
    plugin_ = open_plugin(given.plugin);
    for (const auto& kind : plugin_.registry.architectures.kinds())
      if (kind.name == given.kind) kind_ = &kind;
    ASSERT_NE(kind_, nullptr) << "no such kind";
  }

  const Tokenizer* tokenizer() const { return case_->has_tokenizer ? &tokenizer_ : nullptr; }
  std::unique_ptr<Architecture> make(const ConfigNode& config) const {
    return kind_->create(config, {tokenizer()});
  }
  KindView view() const {
    return {kind_->plugin, kind_->name, kind_->help, kind_->resolve, kind_->schema};
  }

  conformance::Subject subject() const {
    conformance::Subject subject;
    subject.plugin = case_->plugin;
    subject.make = [this] { return make(case_->config_node()); };
    subject.sample = case_->sample;
    subject.tokenizer = tokenizer();
    if (!case_->sampler_inputs.empty())
      subject.sampler_inputs = test::mapping_of(case_->sampler_inputs);
    subject.scratch_dir = folder_.path().string();
    return subject;
  }

 private:
  const Case* case_ = nullptr;
  OpenedPlugin plugin_;
  const Kind<Architecture, ArchitectureContext>* kind_ = nullptr;
  test::LetterTokenizer tokenizer_;
  test::TemporaryFolder folder_;
};

class Described : public OpenedCase, public ::testing::WithParamInterface<Case> {
 protected:
  void SetUp() override { open(GetParam()); }
};

TEST_P(Described, HasEveryOptionExplainedAndResolvesStably) {
  EXPECT_THAT(conformance::check_description(view(), GetParam().config_node()), IsEmpty());
}

TEST_P(Described, RefusesWrongOptionsInWords) {
  const auto use = [this](const ConfigNode& config, const std::string&) {
    conformance::use_architecture(*make(config), subject());
  };
  EXPECT_THAT(conformance::check_refusals(view(), GetParam().config_node(), use), IsEmpty());
}

TEST_P(Described, HasACaseThatGeneratesIfItDoes) {
  EXPECT_EQ(make(GetParam().config_node())->sampler().has_value(),
            !GetParam().sampler_inputs.empty());
}

INSTANTIATE_TEST_SUITE_P(All, Described, ::testing::ValuesIn(test::conformance_cases()),
                         [](const auto& info) { return info.param.name(); });

class Conformance : public OpenedCase,
                    public ::testing::WithParamInterface<std::tuple<Case, Check>> {
 protected:
  void SetUp() override { open(std::get<0>(GetParam())); }
};

TEST_P(Conformance, Holds) {
  const auto& [given, check] = GetParam();
  EXPECT_THAT(conformance::problems_of(given.plugin,
                                       [&, find = check.find_problems] { return find(subject()); }),
              IsEmpty());
}

/// "rnn_classifier__every_cut_is_the_uncut_model_to_the_bit".
std::string test_name(const ::testing::TestParamInfo<std::tuple<Case, Check>>& info) {
  std::string claim = std::get<1>(info.param).claim;
  std::replace_if(
      claim.begin(), claim.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return std::get<0>(info.param).name() + "__" + claim;
}

INSTANTIATE_TEST_SUITE_P(
    All, Conformance,
    ::testing::Combine(::testing::ValuesIn(test::conformance_cases()),
                       ::testing::ValuesIn(conformance::architecture_checks())),
    test_name);

}  // namespace
}  // namespace triga
