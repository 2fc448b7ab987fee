// A model saved and read again by the core's own writer and reader.
#pragma once

#include "conformance/subject.h"

namespace triga::conformance {

/// Every value and every state of the optimizer comes back to the bit, and the directory's files
/// are those of this model.
Problems save_and_load(const Subject& subject);

}  // namespace triga::conformance
