// The same steps on several ranks (threads of this process) and on one.
#pragma once

#include "conformance/subject.h"

namespace triga::conformance {

/// Data-parallel, pipeline and mixed grids against one process: losses, gradient norms, metrics and
/// the values after a few steps, up to the order of sums.
Problems compare_layouts(const Subject& subject);

}  // namespace triga::conformance
