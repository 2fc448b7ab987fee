// The loss and the metrics of models of real numbers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "triga/loss.h"
#include "triga/metric.h"

namespace triga::rnn {

/// Squared error of the activation `output` against the field `target` of the batch, of equal shape,
/// over the number of values.
std::unique_ptr<Loss> squared_error(const std::string& output, const std::string& target);

/// "mse" and "mae" of the same, per value.
std::vector<std::unique_ptr<Metric>> error_metrics(const std::string& output,
                                                   const std::string& target);

}  // namespace triga::rnn
