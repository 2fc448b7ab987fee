// A picture of gradients inside of layers: how large the gradient of the loss is by what a layer
// remembers at each place of a sequence. A curve that falls to the left vanishes on its way back, one
// that rises to the left explodes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace triga {

struct GradientCurve {
  int64_t step = 0;           // of training
  std::vector<double> norms;  // [place]
};

struct GradientPanel {
  std::string title;
  std::vector<GradientCurve> curves;  // by rising step
};

/// SVG: the panels side by side, all with one logarithmic axis; of many curves some, the first and
/// the last among them, light to dark. What is zero or not finite has no point.
std::string gradient_plot(const std::vector<GradientPanel>& panels);

}  // namespace triga
