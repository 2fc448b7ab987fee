// Checks of what is no architecture: each finds what is wrong on purpose.
#include "conformance/part_checks.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/kind_sections.h"
#include "conformance/kind_checks.h"
#include "conformance/use.h"
#include "data/core_kinds.h"
#include "optim/optimizers.h"
#include "optim/schedules.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/conformance/crooked_model.h"

namespace triga {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const ConfigNode kNothing = ConfigNode::make_mapping();

/// Numbers, each time the same or others.
class Numbers final : public Dataset {
 public:
  explicit Numbers(int64_t first, int64_t size = 20) : first_(first), size_(size) {}
  int64_t size() const override { return size_; }
  Sample get(int64_t index) const override { return {{"n", at::full({1}, first_ + index)}}; }
  std::string fingerprint() const override { return std::to_string(first_); }

 private:
  int64_t first_, size_;
};

TEST(PartChecks, OfADatasetFindOtherSamplesEveryTime) {
  EXPECT_THAT(conformance::check_dataset([] { return std::make_unique<Numbers>(3); }), IsEmpty());
  int64_t times = 0;
  const auto problems =
      conformance::check_dataset([&] { return std::make_unique<Numbers>(++times); });
  EXPECT_THAT(problems, Contains("sample 0 is another one every time"));
  EXPECT_THAT(problems, Contains(HasSubstr("its fingerprint")));
  EXPECT_THAT(conformance::check_dataset([] { return std::make_unique<Numbers>(0, 0); }),
              Contains("it has no samples"));
}

enum class Bad {
  kNothing,
  kMixesNeighbours,
  kIgnoresScale,
  kMovesWithoutRate,
  kHasMemory,
  kCountsItself,
  kGivesNoNumbers,
  kIgnoresRateOfGroup,
  kIgnoresDecayOfGroup,
  kTakesNoDecayForItsOwn,
  kTakesFirstGroupForAll,
  kTakesLastGroupForAll
};

class TestOptimizer final : public Optimizer {
 public:
  explicit TestOptimizer(Bad bad, int64_t salt = 0) : bad_(bad), salt_(salt) {}
  std::vector<std::string> state_names() const override { return {"average"}; }
  void update(std::span<OptimizerSlice> slices, double learning_rate, int64_t,
              double gradient_scale) override {
    for (OptimizerSlice& slice : slices) {
      OptimizerGroup group = slice.group;
      if (bad_ == Bad::kTakesFirstGroupForAll) group = slices.front().group;
      if (bad_ == Bad::kTakesLastGroupForAll) group = slices.back().group;
      if (bad_ == Bad::kIgnoresRateOfGroup) group.learning_rate_scale = 1;
      if (bad_ == Bad::kIgnoresDecayOfGroup) group.weight_decay.reset();
      if (bad_ == Bad::kTakesNoDecayForItsOwn && group.weight_decay == 0.0)
        group.weight_decay.reset();
      at::Tensor gradient = slice.gradient;
      if (bad_ != Bad::kIgnoresScale) gradient = gradient * gradient_scale;
      if (bad_ == Bad::kMixesNeighbours) gradient = gradient - gradient.mean();
      if (bad_ == Bad::kMovesWithoutRate) learning_rate += 0.1;
      if (bad_ == Bad::kHasMemory) gradient = gradient + static_cast<double>(salt_);
      if (bad_ == Bad::kCountsItself) gradient = gradient * static_cast<double>(++updates_);
      slice.states[0].mul_(0.9).add_(gradient);
      if (bad_ == Bad::kGivesNoNumbers) slice.parameter.div_(0).sub_(slice.parameter);
      const double rate = learning_rate * group.learning_rate_scale;
      slice.parameter.mul_(1 - rate * group.weight_decay.value_or(0.1));
      slice.parameter.sub_(slice.states[0], rate);
    }
  }

 private:
  Bad bad_;
  int64_t salt_, updates_ = 0;
};

conformance::Problems problems_of_optimizer(Bad bad) {
  int64_t salt = 0;
  return conformance::check_optimizer([&] { return std::make_unique<TestOptimizer>(bad, ++salt); });
}

TEST(PartChecks, OfAnOptimizerFindWhatARankWithAPartWouldDoOtherwise) {
  EXPECT_THAT(problems_of_optimizer(Bad::kNothing), IsEmpty());
  EXPECT_THAT(problems_of_optimizer(Bad::kMixesNeighbours),
              Contains(HasSubstr("two slices give other values than one")));
  EXPECT_THAT(problems_of_optimizer(Bad::kIgnoresScale),
              Contains(HasSubstr("gradient_scale is not a factor")));
  EXPECT_THAT(problems_of_optimizer(Bad::kMovesWithoutRate),
              Contains(HasSubstr("learning rate of 0")));
  EXPECT_THAT(problems_of_optimizer(Bad::kHasMemory), Contains(HasSubstr("every time")));
  EXPECT_THAT(problems_of_optimizer(Bad::kCountsItself),
              Contains(HasSubstr("after a resume it gives other values")));
}

TEST(PartChecks, OfAnOptimizerFindAGroupWhoseValuesDoNotHold) {
  const auto problems = [](Bad bad) {
    return conformance::check_optimizer_groups(
        [=] { return std::make_unique<TestOptimizer>(bad); });
  };
  EXPECT_THAT(problems(Bad::kNothing), IsEmpty());
  EXPECT_THAT(problems(Bad::kIgnoresRateOfGroup),
              ElementsAre(HasSubstr("learning_rate_scale is not a factor")));
  EXPECT_THAT(problems(Bad::kIgnoresDecayOfGroup),
              ElementsAre(HasSubstr("weight_decay changes nothing")));
  EXPECT_THAT(problems(Bad::kTakesNoDecayForItsOwn), ElementsAre(HasSubstr("of 0 is not taken")));
  for (const Bad bad : {Bad::kTakesFirstGroupForAll, Bad::kTakesLastGroupForAll})
    EXPECT_THAT(problems(bad), Contains("the values of a slice's group change other slices"));
  // None of it is seen where every slice has the same group.
  EXPECT_THAT(problems_of_optimizer(Bad::kIgnoresRateOfGroup), IsEmpty());
}

class Factor final : public LearningRateSchedule {
 public:
  explicit Factor(double slope) : slope_(slope) {}
  double factor(int64_t step) const override { return 1 + slope_ * static_cast<double>(step); }

 private:
  double slope_;
};

TEST(PartChecks, OfAScheduleFindANegativeFactor) {
  EXPECT_THAT(conformance::check_schedule([] { return std::make_unique<Factor>(0.1); }), IsEmpty());
  EXPECT_THAT(conformance::check_schedule([] { return std::make_unique<Factor>(-0.1); }),
              Contains("the factor of step 99 is -8.9"));
}

/// The bytes of a text, or something else after them.
class Bytes final : public Tokenizer {
 public:
  explicit Bytes(int64_t vocab_size, int32_t shift = 0) : vocab_size_(vocab_size), shift_(shift) {}
  int64_t vocab_size() const override { return vocab_size_; }
  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c) + shift_);
    return ids;
  }
  std::string decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) text += static_cast<char>(id - shift_);
    return text;
  }
  std::optional<int32_t> end_of_text() const override { return std::nullopt; }
  std::map<std::string, std::string> files() const override { return {}; }

 private:
  int64_t vocab_size_;
  int32_t shift_;
};

TEST(PartChecks, OfATokenizerFindIdsThatAreLost) {
  const auto check = [](int64_t vocab_size, int32_t shift_when_reopened) {
    return conformance::check_tokenizer(Bytes(vocab_size), [=](const auto&) {
      return std::make_unique<Bytes>(vocab_size, shift_when_reopened);
    });
  };
  EXPECT_THAT(check(256, 0), IsEmpty());
  EXPECT_THAT(check(100, 0), Contains(HasSubstr("has an id outside of the vocabulary")));
  EXPECT_THAT(check(300, 1), Contains("'a' has other ids when it is opened from its files()"));
}

TEST(PartChecks, HaveNothingAgainstTheCoresOwnKinds) {
  Registry registry;
  register_core_optimizers(registry);
  register_core_schedules(registry);
  for (const auto& kind : registry.optimizers.kinds()) {
    const auto make = [&] { return kind.create(kNothing, {}); };
    EXPECT_THAT(conformance::check_optimizer(make), IsEmpty()) << kind.name;
    EXPECT_THAT(conformance::check_optimizer_groups(make), IsEmpty()) << kind.name;
  }
  for (const auto& kind : registry.learning_rate_schedules.kinds())
    EXPECT_THAT(conformance::check_schedule([&] { return kind.create(kNothing, {100}); }),
                IsEmpty())
        << kind.name;
}

struct Inner {
  double some = 1;
};
void describe(Fields& fields, Inner& inner) {
  fields.field("some", inner.some).help("Of it.");
}

struct Options {
  int64_t size = 3;
  int64_t free = 0;
  std::vector<int64_t> list = {3, 4};
  Inner inner;
  std::optional<double> maybe;
};
void describe(Fields& fields, Options& options) {
  fields.field("size", options.size).help("Of something.").at_least(1);
  fields.field("free", options.free).help("Of anything.");  // no range
  fields.field("list", options.list).help("Of many.");
  fields.field("inner", options.inner).help("A part.");
  fields.field("maybe", options.maybe).help("Of none.");
}

KindView view_of_options() {
  Registry registry;
  registry.metrics.add<Options>(
      "m", "", [](const Options&, const MetricContext&) { return std::unique_ptr<Metric>(); });
  const auto& kind = registry.metrics.kinds()[0];
  return {kind.plugin, kind.name, kind.help, kind.resolve, kind.schema};
}

TEST(KindChecks, FindAKindWithoutHelp) {
  EXPECT_THAT(conformance::check_description(view_of_options(), kNothing),
              ::testing::ElementsAre("the kind has no help text"));
}

TEST(KindChecks, FindAWrongValueThatIsNotRefusedInWords) {
  std::vector<std::string> all;
  const auto use = [&](const ConfigNode& config, const std::string& tried) {
    all.push_back(tried);
    if (config.find("free")->scalar == "-1") throw std::length_error("vector::reserve");
    if (config.find("free")->scalar == "0") throw DataError("there is no column 0");  // in words
    if (config.find("list")->items[0].scalar == "0") throw Error("a row of no columns");
  };
  ConfigNode config = ConfigNode::make_mapping();
  config.add("free", ConfigNode::make_scalar("7"));
  EXPECT_THAT(
      conformance::check_refusals(view_of_options(), config, use),
      ElementsAre(
          "free: -1 is not refused with a ConfigError, but ends in: vector::reserve",
          "list[0]: 0 is not refused with a ConfigError, but ends in: a row of no columns"));
  EXPECT_THAT(all, ElementsAre("free: -1", "free: 0", "list[0]: -1", "list[0]: 0", "inner.some: -1",
                               "inner.some: 0", "maybe: -1", "maybe: 0"))
      << "size has a limit that refuses both";
}

TEST(KindChecks, WhatCannotBeUsedIsFound) {
  const auto fails = [](const auto& use, const std::string& what) {
    EXPECT_THAT(use, ::testing::ThrowsMessage<Error>(HasSubstr(what)));
  };
  fails([] { conformance::use_dataset(Numbers(0, 0)); }, "it has no samples");
  fails([] { conformance::use_tokenizer(Bytes(100)); }, "outside of the vocabulary");
  fails([] { conformance::use_schedule(Factor(-0.1)); }, "the factor of step 99 is -8.9");
  fails(
      [] {
        TestOptimizer optimizer(Bad::kGivesNoNumbers);
        conformance::use_optimizer(optimizer);
      },
      "a parameter after update 1 is not finite");
  TestOptimizer good(Bad::kNothing);
  conformance::use_dataset(Numbers(3));
  conformance::use_tokenizer(Bytes(256));
  conformance::use_schedule(Factor(0.1));
  conformance::use_optimizer(good);
}

TEST(KindChecks, AModelThatCannotBeUsedIsFound) {
  const test::TemporaryFolder folder;
  const auto use = [&](test::Fault fault) {
    const auto subject = test::crooked_subject(test::Fault::kNone, folder.path().string());
    conformance::use_architecture(*test::make_crooked(fault), subject);
  };
  use(test::Fault::kNone);
  EXPECT_THAT([&] { use(test::Fault::kNotANumber); },
              ::testing::ThrowsMessage<Error>(HasSubstr("is not finite")));
  EXPECT_THAT([&] { use(test::Fault::kThrows); },
              ::testing::ThrowsMessage<Error>(HasSubstr("the moon")));
}

}  // namespace
}  // namespace triga
