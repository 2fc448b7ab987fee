// The sampler `forecasts` of forecasters: rolling forecasts of a CSV file, as a table and a picture.
// The first begins at `from`; each next one where the last one ended, from what really happened.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "triga/sampler.h"

namespace triga::rnn {

struct ForecastInputs {
  ConfigPath file;
  std::string columns;  // "a,b"; "": all of numbers
  int64_t from = 0;
  std::optional<int64_t> to;  // empty: the end of the file
  int64_t input_length = 96;
  std::optional<int64_t> standardise_from, standardise_to;  // rows
};

void describe(Fields& fields, ForecastInputs& inputs);

/// For models that read `input` fp32 [B, L, C] and write `forecast` fp32 [B, horizon, C].
SamplerKind forecast_sampler(int64_t num_features, int64_t horizon);

}  // namespace triga::rnn
