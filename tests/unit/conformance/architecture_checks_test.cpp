// Each check finds the fault that it is about, and says what it is; and none complains of a model
// that keeps every promise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conformance/subject.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/conformance/crooked_model.h"

namespace triga {
namespace {

using conformance::Check;
using conformance::Problems;
using test::Fault;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Problems run(const Check& check, Fault fault) {
  const test::TemporaryFolder folder;
  const auto subject = test::crooked_subject(fault, folder.path().string());
  return conformance::problems_of("crooked", [&] { return check.find_problems(subject); });
}

struct Finding {
  Fault fault;
  const char* claim;    // of the check that finds it
  const char* problem;  // part of what it says
};

TEST(ArchitectureChecks, HaveNothingAgainstAModelThatKeepsEveryPromise) {
  for (const Check& check : conformance::architecture_checks())
    EXPECT_THAT(run(check, Fault::kNone), IsEmpty()) << check.claim;
}

TEST(ArchitectureChecks, TakeWhatIsNotANumberForTheSameOnEveryLayout) {
  for (const Check& check : conformance::architecture_checks())
    for (const char* claim : {"the same bits come again", "every cut is the uncut model to the bit",
                              "several ranks are one process"})
      if (std::string(check.claim) == claim)
        EXPECT_THAT(run(check, Fault::kNotANumber), IsEmpty()) << claim;
}

class Finds : public ::testing::TestWithParam<Finding> {};

TEST_P(Finds, TheFault) {
  for (const Check& check : conformance::architecture_checks())
    if (std::string(check.claim) == GetParam().claim) {
      EXPECT_THAT(run(check, GetParam().fault), Contains(HasSubstr(GetParam().problem)));
      return;
    }
  FAIL() << "no check claims that " << GetParam().claim;
}

INSTANTIATE_TEST_SUITE_P(
    ArchitectureChecks, Finds,
    ::testing::Values(
        Finding{Fault::kOtherNames, "layers are the same every time and take no memory",
                "has another name every time"},
        Finding{Fault::kAllocates, "layers are the same every time and take no memory",
                "first.weight was allocated by its layer"},
        Finding{Fault::kForgetsName, "layers are the same every time and take no memory",
                "parameter_name() gives second.weight another name"},
        Finding{Fault::kCollateDraws, "collate is a function of its arguments",
                "x is another one every time"},
        Finding{Fault::kNoRow, "collate is a function of its arguments",
                "size does not have a row for each sample"},
        Finding{Fault::kUndeclared, "what is trained is declared",
                "layer first uses a tensor that requires a gradient, of shape [5]"},
        Finding{Fault::kUnusedParameter, "every parameter gets a finite gradient",
                "gradient of first.unused is zero: is it used in forward()?"},
        Finding{Fault::kForgotten, "every parameter gets a finite gradient",
                "a parameter is used that was never declared"},
        Finding{Fault::kNotANumber, "every parameter gets a finite gradient", "loss is not finite"},
        Finding{Fault::kHalfGradient, "gradients equal finite differences",
                "the loss changes with first.weight along its gradient"},
        Finding{Fault::kTinyGradient, "gradients equal finite differences",
                "the loss changes with first.weight along its gradient"},
        Finding{Fault::kRowWithoutGradient, "gradients equal finite differences",
                "the loss changes with first.weight along a random direction"},
        Finding{Fault::kDefaultGenerator, "the same bits come again",
                "differs from one time to the next"},
        Finding{Fault::kDefaultGenerator, "nothing is drawn from LibTorch's generator",
                "use triga::dropout"},
        Finding{Fault::kChangesInput, "every cut is the uncut model to the bit",
                "differs when the model is cut everywhere"},
        Finding{Fault::kCountsInLayer,
                "activations that are computed again are the same to the bit",
                "differs with parallel.recompute: full"},
        Finding{Fault::kCountsInPart, "activations that are computed again are the same to the bit",
                "differs with parallel.recompute: selective"},
        Finding{Fault::kEvaluationDraws, "an evaluation gives the same again, cut anywhere",
                "batch field x of an evaluation differs from one pass to the next"},
        Finding{Fault::kCountsEvaluations, "an evaluation gives the same again, cut anywhere",
                "output y of an evaluation differs from one pass to the next"},
        Finding{Fault::kCountsEvaluations, "several ranks are one process",
                "loss of an evaluation"},
        Finding{Fault::kCountsCalls, "several ranks are one process", "in one process"},
        Finding{Fault::kBadMerge, "several ranks are one process", "mean_output of an evaluation"},
        Finding{Fault::kBadMerge, "metrics merge to what one rank would count",
                "merged from two parts"},
        Finding{Fault::kNoFiles, "a model directory fits the model that wrote it", "has no file"},
        Finding{Fault::kNotItself, "a model directory fits the model that wrote it",
                "another model"},
        Finding{Fault::kForgetsName, "what is saved is loaded to the bit", "second.weight"},
        Finding{Fault::kOtherSample, "a sampler gives the same again", "draw from a seed"},
        Finding{Fault::kThrows, "the same bits come again",
                "plugin 'crooked': the moon is in the wrong place"},
        Finding{Fault::kThrows, "several ranks are one process",
                "plugin 'crooked': the moon is in the wrong place"}));

TEST(ArchitectureChecks, SayWhereThereIsNothingToLookAt) {
  const test::TemporaryFolder folder;
  const auto whole = test::crooked_subject(Fault::kNone, folder.path().string());
  const auto bare = test::crooked_subject(Fault::kBare, folder.path().string());
  std::vector<std::string> found;
  for (const Check& check : conformance::architecture_checks()) {
    if (!check.find_nothing) continue;
    EXPECT_EQ(check.find_nothing(whole), "") << check.claim;
    found.push_back(check.find_nothing(bare));
  }
  EXPECT_THAT(found, ::testing::ElementsAre("it has one layer", "it has no metrics of its own",
                                            "it has no sampler"));
}

TEST(ArchitectureChecks, WantInputsForASampler) {
  const test::TemporaryFolder folder;
  auto subject = test::crooked_subject(Fault::kNone, folder.path().string());
  subject.sampler_inputs.reset();
  EXPECT_THAT(conformance::architecture_checks().back().find_problems(subject),
              Contains(HasSubstr("nothing says what to generate from")));
}

}  // namespace
}  // namespace triga
