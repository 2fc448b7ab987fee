// Gradients against finite differences: of each parameter, along the gradient itself and along
// random directions.
#pragma once

#include "conformance/subject.h"

namespace triga::conformance {

/// A sentence for each parameter whose gradient is not the slope of the loss.
Problems compare_gradients(const Subject& subject);

}  // namespace triga::conformance
