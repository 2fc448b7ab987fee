// A small model that keeps every promise, or breaks one of them on purpose.
#pragma once

#include <memory>
#include <string>

#include "conformance/subject.h"
#include "triga/architecture.h"

namespace triga::test {

enum class Fault {
  kNone,
  kOtherNames,          // a layer has another name every time
  kAllocates,           // a layer makes its parameter's memory itself
  kCollateDraws,        // collate draws from LibTorch's generator
  kNoRow,               // a field of the batch has no row for each sample
  kUndeclared,          // a layer trains a tensor of its own
  kUnusedParameter,     // a parameter that nothing reads
  kNotANumber,          // a logarithm of what is negative
  kHalfGradient,        // a gradient of half its size
  kTinyGradient,        // a gradient of a thousandth of its size
  kRowWithoutGradient,  // a part of a parameter whose gradient is lost
  kDefaultGenerator,    // forward() draws from LibTorch's generator
  kChangesInput,        // a layer writes into what another one reads
  kCountsCalls,         // a static counter in forward()
  kCountsInLayer,       // a counter of a layer object in forward()
  kCountsInPart,        // likewise, in a part that may be recomputed
  kCountsEvaluations,   // likewise, when it is evaluated
  kEvaluationDraws,     // collate draws from LibTorch's generator for evaluations
  kBadMerge,            // a metric forgets what it had
  kNoFiles,             // a model directory without files
  kForgetsName,         // parameter_name() does not know a parameter of the model
  kNotItself,           // check_compatible() refuses the model's own files
  kOtherSample,         // a sampler that counts
  kThrows,              // forward() throws
  kForgotten,           // forward() uses a parameter that was not declared
  kBare,                // nothing is wrong: one layer, no metrics, no sampler
};

std::unique_ptr<Architecture> make_crooked(Fault fault);

/// With samples {"x": float [4], "y": float [3]} and nothing to generate from but nothing.
conformance::Subject crooked_subject(Fault fault, const std::string& scratch_dir);

}  // namespace triga::test
