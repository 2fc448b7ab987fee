#include "metrics/gradient_plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/xml.h"

namespace triga {
namespace {

constexpr size_t kMostColumns = 3, kMostCurves = 8;
constexpr double kPanelWidth = 300, kPanelHeight = 200;
constexpr double kLeft = 56, kTop = 46, kGapX = 24, kGapY = 62;

bool has_point(double norm) {
  return std::isfinite(norm) && norm > 0;
}

/// Powers of ten that hold all points.
struct Axis {
  int low = 0, high = 1;
  int stride() const { return (high - low + 7) / 8; }  // between labels
};

Axis axis_of(const std::vector<GradientPanel>& panels) {
  double low = INFINITY, high = -INFINITY;
  for (const GradientPanel& panel : panels)
    for (const GradientCurve& curve : panel.curves)
      for (const double norm : curve.norms)
        if (has_point(norm)) {
          low = std::min(low, norm);
          high = std::max(high, norm);
        }
  if (low > high) return {};
  const Axis axis{static_cast<int>(std::floor(std::log10(low))),
                  static_cast<int>(std::ceil(std::log10(high)))};
  return axis.low < axis.high ? axis : Axis{axis.low, axis.low + 1};
}

/// From light to dark.
std::string color_of(size_t i, size_t count) {
  const double dark = count < 2 ? 1 : static_cast<double>(i) / static_cast<double>(count - 1);
  const auto mix = [dark](int light, int deep) {
    return static_cast<int>(std::lround(light + dark * (deep - light)));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(0xf2, 0x1f), mix(0xb3, 0x2a), mix(0x66, 0x6b));
}

class Panel {
 public:
  Panel(const GradientPanel& panel, const Axis& axis, double left, double top)
      : panel_(panel), axis_(axis), left_(left), top_(top) {
    for (const GradientCurve& curve : panel.curves)
      num_places_ = std::max(num_places_, curve.norms.size());
  }

  std::string draw() const {
    std::string svg = frame();
    const size_t all = panel_.curves.size(), count = std::min(all, kMostCurves);
    for (size_t i = 0; i < count; ++i) {
      const GradientCurve& curve = panel_.curves[count < 2 ? 0 : i * (all - 1) / (count - 1)];
      svg += line(curve, color_of(i, count)) + label(curve.step, i, count);
    }
    return svg;
  }

 private:
  double x(size_t place) const {
    return left_ + kPanelWidth * static_cast<double>(place) /
                       static_cast<double>(std::max<size_t>(num_places_, 2) - 1);
  }
  double y(double exponent) const {
    return top_ + kPanelHeight * (axis_.high - exponent) / (axis_.high - axis_.low);
  }

  std::string frame() const {
    std::string svg =
        fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" font-weight=\"bold\">{}</text>\n", left_,
                    top_ - 22, xml_text(panel_.title));
    for (int exponent = axis_.low; exponent <= axis_.high; exponent += axis_.stride())
      svg += fmt::format(
          "<line x1=\"{0:.0f}\" x2=\"{1:.0f}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\" stroke=\"#dddddd\"/>"
          "<text x=\"{3:.0f}\" y=\"{4:.1f}\" text-anchor=\"end\">1e{5}</text>\n",
          left_, left_ + kPanelWidth, y(exponent), left_ - 5, y(exponent) + 4, exponent);
    const double bottom = top_ + kPanelHeight;
    return svg +
           fmt::format(
               "<rect x=\"{:.0f}\" y=\"{:.0f}\" width=\"{:.0f}\" height=\"{:.0f}\" fill=\"none\" "
               "stroke=\"#888888\"/>\n<text x=\"{:.0f}\" y=\"{:.0f}\">0</text>"
               "<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"end\">time step {}</text>\n",
               left_, top_, kPanelWidth, kPanelHeight, left_, bottom + 14, left_ + kPanelWidth,
               bottom + 14, std::max<size_t>(num_places_, 1) - 1);
  }

  /// In pieces where points are missing.
  std::string line(const GradientCurve& curve, const std::string& color) const {
    std::string svg, points;
    const auto finish = [&] {
      if (!points.empty())
        svg +=
            fmt::format("<polyline fill=\"none\" stroke=\"{}\" points=\"{}\"/>\n", color, points);
      points.clear();
    };
    for (size_t place = 0; place < curve.norms.size(); ++place) {
      if (!has_point(curve.norms[place])) {
        finish();
        continue;
      }
      points += fmt::format("{}{:.1f},{:.1f}", points.empty() ? "" : " ", x(place),
                            y(std::log10(curve.norms[place])));
    }
    finish();
    return svg;
  }

  std::string label(int64_t step, size_t i, size_t count) const {
    if (i != 0 && i + 1 != count) return "";
    const bool is_last = i > 0;
    return fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" fill=\"{}\">step {}</text>\n",
                       left_ + (is_last ? 90 : 0), top_ - 6, color_of(i, count), step);
  }

  const GradientPanel& panel_;
  const Axis axis_;
  const double left_, top_;
  size_t num_places_ = 0;
};

}  // namespace

std::string gradient_plot(const std::vector<GradientPanel>& panels) {
  const size_t columns =
      std::clamp<size_t>(panels.size() == 4 ? 2 : panels.size(), 1, kMostColumns);
  const size_t rows = std::max<size_t>((panels.size() + columns - 1) / columns, 1);
  const double step_x = kLeft + kPanelWidth + kGapX, step_y = kPanelHeight + kGapY;
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{:.0f}\" y=\"14\">norm of the gradient of the loss by the state at each time "
      "step</text>\n",
      step_x * static_cast<double>(columns), kTop + step_y * static_cast<double>(rows), kLeft);
  const Axis axis = axis_of(panels);
  for (size_t i = 0; i < panels.size(); ++i)
    svg += Panel(panels[i], axis, kLeft + step_x * static_cast<double>(i % columns),
                 kTop + step_y * static_cast<double>(i / columns))
               .draw();
  return svg + "</svg>\n";
}

}  // namespace triga
