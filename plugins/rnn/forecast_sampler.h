// The sampler `forecasts` of forecasters: rolling forecasts of a CSV file, as a table and a picture.
// The first begins at `from`; each next one where the last one ended, from what really happened.
// How the series is read comes from the model directory (series.json), where the inputs do not say.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "triga/sampler.h"

namespace triga::rnn {

struct ForecastInputs {
  ConfigPath file;
  std::string columns;  // "a,b"; "": training's
  int64_t from = 0;
  std::optional<int64_t> to;  // empty: the end of the file
  // Rows; empty: what series.json says of training.
  std::optional<int64_t> input_length, standardise_from, standardise_to;
};

void describe(Fields& fields, ForecastInputs& inputs);

/// For models that read `input` fp32 [B, L, C] and write `forecast` fp32 [B, horizon, C].
SamplerKind forecast_sampler(int64_t num_features, int64_t horizon);

}  // namespace triga::rnn
