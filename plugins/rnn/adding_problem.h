// Dataset `adding_problem` (Hochreiter and Schmidhuber 1997, section 5.4, in the form of Arjovsky et
// al. 2016): a sequence of pairs of a number in [0, 1) and a marker that is 1 at two places, one in
// each half, and 0 elsewhere; the target is the sum of the two marked numbers. Who always says 1 has
// a squared error of 1/6; less needs a memory of half the sequence and more.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "triga/config.h"
#include "triga/dataset.h"

namespace triga::rnn {

struct AddingProblemConfig {
  int64_t num_samples = 10000;
  int64_t length = 50;
  int64_t seed = 1;
};

void describe(Fields& fields, AddingProblemConfig& config);

/// Samples {"features": fp32 [length, 2], "target": fp32 [1]}: a pure function of (seed, split,
/// index).
std::unique_ptr<Dataset> make_adding_problem(const AddingProblemConfig& config,
                                             const std::string& split);

}  // namespace triga::rnn
