// Uses a product as a run would, for a moment: what options that are not refused have to come
// through. Each throws an Error for results that no run can go on with, and whatever the plugin
// throws.
#pragma once

#include "conformance/subject.h"

namespace triga::conformance {

/// Builds every layer, which takes no memory.
void build_layers(const Architecture& model);

/// Layers are built, a step is trained on the subject's samples, and one is evaluated. `model`: made
/// with other options than the subject's own.
void use_architecture(const Architecture& model, const Subject& subject);

void use_dataset(const Dataset& dataset);
void use_tokenizer(const Tokenizer& tokenizer);
void use_optimizer(Optimizer& optimizer);
void use_schedule(const LearningRateSchedule& schedule);

/// Of three samples, on outputs of the subject's model. Result: the metric's.
double use_metric(Metric& metric, const Subject& subject);

}  // namespace triga::conformance
