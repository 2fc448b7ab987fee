// Spikes: is a loss so far above those before it that its step is not trusted? A rule of numbers
// that all ranks have in common, kept in the training state, so a resume goes on with it.
#pragma once

#include <string>

#include "checkpoint/snapshot.h"
#include "config/experiment.h"

namespace triga {

/// A spike is above the mean of the losses before it by this part of it at least, however little
/// those differ: on a plateau of a long run they do by a thousandth, and six times that is nothing.
inline constexpr double kLeastRise = 0.01;

/// Standard deviations of `loss` above the mean of `losses`. A deviation below a millionth of the
/// mean counts as that, so that it is finite. Requires: losses.
double z_score(double loss, const std::vector<double>& losses);

/// Whether a step of `size` samples (or tokens) is too short for a verdict, as the last one of an
/// epoch may be: the mean of few samples is far from that of many for no reason. It takes no part in
/// what follows, and ends no series of spikes.
bool is_too_short(int64_t size, int64_t usual_size);

/// Why the loss of a step is a spike, in words; "": it is none, or there is no verdict yet. Requires
/// a finite loss, of a step that is not too short.
std::string spike_in_words(double loss, const SpikesConfig& config, const TrainingState& state);

/// Of a step that was no spike and trained: its loss is one of those to compare with.
void remember_loss(double loss, const SpikesConfig& config, TrainingState& state);

/// Whether the run may go back once more: rollbacks count that no progress came after.
bool may_go_back(const SpikesConfig& config, const TrainingState& state);

/// Before a save. Progress is a checkpoint with a full window of good steps behind it since the last
/// rollback. It is that checkpoint which says so: a run that always comes back to the same one gets
/// nowhere, however many steps it trained in between.
void settle_rollbacks(const SpikesConfig& config, TrainingState& state);

}  // namespace triga
