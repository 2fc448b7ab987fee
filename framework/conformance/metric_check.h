// A metric: what its states give when they are merged.
#pragma once

#include "conformance/subject.h"

namespace triga::conformance {

/// Parts of a split, each counted by a metric of its own and merged in order, give what one counts
/// on all of it; and nothing of it is left after reset(). The outputs are those of the subject's
/// model.
Problems check_merging(const Subject& subject,
                       const std::function<std::unique_ptr<Metric>()>& make);

}  // namespace triga::conformance
