// The suite's CutModel, for tests of stages.
#pragma once

#include "conformance/cut_model.h"

namespace triga::test {

using conformance::CutModel;
using conformance::differences;
using conformance::Record;

}  // namespace triga::test
