// tensorboard_events FOLDER: three starts of one run: steps 10 to 50; again from step 30 on, as
// after a crash; again from step 40 on. The value of a step is 100 * start + step. At step 50 of each
// start there are samples: a text, images of start x 3 pixels, and a table.
#include <ATen/ops/full.h>

#include "metrics/tensorboard.h"
#include "triga/image.h"

namespace {

triga::SampleRecord samples(int start) {
  triga::SampleRecord record;
  record.step = 50;
  record.text = "start " + std::to_string(start) + "\n  # ```indented\n";
  record.files = {{"image-00000.png", triga::encode_png(at::full({1, start, 3}, 200, at::kByte))},
                  {"image-00001.png", triga::encode_png(at::full({3, start, 3}, 100, at::kByte))},
                  {"table.csv", "a,b\n"}};
  return record;
}

}  // namespace

int main(int, char** arguments) {
  int start = 1;
  for (const int64_t last_step : {0, 30, 40}) {
    triga::TensorBoardSink sink(arguments[1], last_step);
    for (int64_t step = last_step + 10; step <= 50; step += 10) {
      const auto value = static_cast<double>(100 * start + step);
      sink.record(
          {.step = step, .split = "", .values = {{"loss", value}, {"learning_rate", 1e-3}}});
      if (step % 20 == 0)
        sink.record({.step = step, .split = "validation", .values = {{"loss", -value}}});
    }
    sink.record_samples(samples(start));
    ++start;
  }
}
