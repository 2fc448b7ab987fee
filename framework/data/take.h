// The part of a data set that a split gets, as an experiment says it: `take: {to: 0.9}`.
#pragma once

#include "triga/config.h"

namespace triga {

struct TakeConfig {
  double from = 0;
  double to = 1;
};

void describe(Fields& fields, TakeConfig& config);

}  // namespace triga
