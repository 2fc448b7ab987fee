// What a plugin may bring beside a model: datasets, tokenizers, optimizers, schedules. Each check
// gets what makes the kind's product, as an experiment names it.
#pragma once

#include <functional>
#include <memory>

#include "conformance/subject.h"

namespace triga::conformance {

template <class Product>
using Maker = std::function<std::unique_ptr<Product>()>;

/// Samples are the same every time, from any thread, and so is the fingerprint.
Problems check_dataset(const Maker<Dataset>& make);

/// Ids lie in the vocabulary and come again, also from a tokenizer that is opened from files().
/// `reopen`: makes one from the files of a checkpoint.
Problems check_tokenizer(
    const Tokenizer& tokenizer,
    const std::function<std::unique_ptr<Tokenizer>(const std::map<std::string, std::string>&)>&
        reopen);

/// A range of elements may be cut anywhere (a rank has a part of it), nothing but its states goes from
/// one update to the next, the scale of gradients is a factor of them, and a learning rate of 0
/// changes no parameter.
Problems check_optimizer(const Maker<Optimizer>& make);

/// The values of a slice's group, its scale of the learning rate and its weight decay, hold for that
/// slice and for no other.
Problems check_optimizer_groups(const Maker<Optimizer>& make);

/// Factors are finite, not negative, and the same every time.
Problems check_schedule(const Maker<LearningRateSchedule>& make);

}  // namespace triga::conformance
