// tensorboard_events FOLDER: three starts of one run: steps 10 to 50; again from step 30 on, as
// after a crash; again from step 40 on. The value of a step is 100 * start + step.
#include "metrics/tensorboard.h"

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
    ++start;
  }
}
