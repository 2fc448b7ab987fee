// Spikes: is a loss so far above those before it that its step is not trusted? A rule of numbers
// that all ranks have in common, kept in the training state, so a resume goes on with it.
#pragma once

#include <string>

#include "checkpoint/snapshot.h"
#include "config/experiment.h"

namespace triga {

/// Standard deviations of `loss` above the mean of `losses`. A deviation below a millionth of the
/// mean counts as that: losses that hardly differ make no spike. Requires: losses.
double z_score(double loss, const std::vector<double>& losses);

/// Why the loss of a step is a spike, in words; "": it is none, or there is no verdict yet. Requires
/// a finite loss.
std::string spike_in_words(double loss, const SpikesConfig& config, const TrainingState& state);

/// Of a step that was no spike and trained: its loss is one of those to compare with.
void remember_loss(double loss, const SpikesConfig& config, TrainingState& state);

}  // namespace triga
