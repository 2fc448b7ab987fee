#include "rnn/forecast_plot.h"

#include <algorithm>
#include <cstdio>

namespace triga::rnn {
namespace {

constexpr double kWidth = 900, kPanelHeight = 150, kLeft = 70, kRight = 15, kTop = 40, kGap = 34;
constexpr const char* kActualColor = "#4477aa";
constexpr const char* kForecastColor = "#ee6677";

std::string number(double value, const char* form = "%.2f") {
  char text[32];
  std::snprintf(text, sizeof text, form, value);
  return text;
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text)
    result += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return result;
}

std::string text_at(double x, double y, const std::string& text, const char* more = "") {
  return "<text x=\"" + number(x) + "\" y=\"" + number(y) + "\" " + more + ">" + escaped(text) +
         "</text>\n";
}

/// One column: its frame, its lines and the marks of where forecasts begin.
class Panel {
 public:
  Panel(const at::Tensor& actual, const at::Tensor& forecast, double top)
      : top_(top), rows_(actual.size(0)) {
    low_ = std::min(actual.min().item<double>(), forecast.min().item<double>());
    high_ = std::max(actual.max().item<double>(), forecast.max().item<double>());
    if (high_ == low_) high_ = low_ + 1;
  }

  std::string frame(const std::string& name, int64_t horizon) const {
    std::string svg;
    for (int64_t row = 0; row < rows_; row += horizon)
      svg += "<line x1=\"" + number(x(row)) + "\" x2=\"" + number(x(row)) + "\" y1=\"" +
             number(top_) + "\" y2=\"" + number(top_ + kPanelHeight) + "\" stroke=\"#dddddd\"/>\n";
    svg += "<rect x=\"" + number(kLeft) + "\" y=\"" + number(top_) + "\" width=\"" +
           number(kWidth - kLeft - kRight) + "\" height=\"" + number(kPanelHeight) +
           "\" fill=\"none\" stroke=\"#888888\"/>\n";
    svg += text_at(kLeft + 4, top_ - 5, name, "font-weight=\"bold\"");
    const char* end = "text-anchor=\"end\"";
    svg += text_at(kLeft - 5, top_ + 10, number(high_, "%.4g"), end);
    return svg + text_at(kLeft - 5, top_ + kPanelHeight, number(low_, "%.4g"), end);
  }

  std::string line(const at::Tensor& values, const char* color) const {
    std::string points;
    for (int64_t row = 0; row < rows_; ++row) {
      const double height = (values[row].item<double>() - low_) / (high_ - low_);
      points += number(x(row)) + "," + number(top_ + kPanelHeight * (1 - height)) + " ";
    }
    return "<polyline fill=\"none\" stroke=\"" + std::string(color) + "\" points=\"" + points +
           "\"/>\n";
  }

 private:
  double x(int64_t row) const {
    const double last = std::max<double>(1, static_cast<double>(rows_ - 1));
    return kLeft + (kWidth - kLeft - kRight) * static_cast<double>(row) / last;
  }

  double top_, low_ = 0, high_ = 1;
  int64_t rows_;
};

}  // namespace

std::string forecast_plot(const std::vector<std::string>& columns, const at::Tensor& actual,
                          const at::Tensor& forecast, int64_t first_row, int64_t horizon) {
  const double height = kTop + static_cast<double>(columns.size()) * (kPanelHeight + kGap) + 10;
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(kWidth) +
                    "\" height=\"" + number(height) +
                    "\" font-family=\"sans-serif\" font-size=\"11\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  const std::string rows = "rows " + std::to_string(first_row) + " to " +
                           std::to_string(first_row + actual.size(0)) + ", " +
                           std::to_string(horizon) + " at a time";
  svg += text_at(kLeft, 18, rows);
  svg += text_at(kWidth - 180, 18, "what happened",
                 ("fill=\"" + std::string(kActualColor) + "\"").c_str());
  svg += text_at(kWidth - 80, 18, "forecast",
                 ("fill=\"" + std::string(kForecastColor) + "\"").c_str());
  for (size_t i = 0; i < columns.size(); ++i) {
    const at::Tensor happened = actual.select(1, static_cast<int64_t>(i)).contiguous();
    const at::Tensor foreseen = forecast.select(1, static_cast<int64_t>(i)).contiguous();
    const Panel panel(happened, foreseen, kTop + static_cast<double>(i) * (kPanelHeight + kGap));
    svg += panel.frame(columns[i], horizon) + panel.line(happened, kActualColor) +
           panel.line(foreseen, kForecastColor);
  }
  return svg + "</svg>\n";
}

}  // namespace triga::rnn
