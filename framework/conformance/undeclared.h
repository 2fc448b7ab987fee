// What layers train without having declared it.
#pragma once

#include "conformance/subject.h"

namespace triga::conformance {

/// Tensors that a layer's outputs or losses depend on, that require a gradient, and that are
/// neither parameters nor inputs of the layer: each rank would draw its own, and nobody would train
/// or save them.
Problems everything_trained_is_declared(const Subject& subject);

}  // namespace triga::conformance
