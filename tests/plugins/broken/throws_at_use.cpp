// Opens well; its factory throws.
#include <stdexcept>

#include "good.h"

TRIGA_PLUGIN(throws_at_use, "1.0.0") {
  registry.learning_rate_schedules.add<triga::test::StillConfig>(
      "still", "Throws.",
      [](const triga::test::StillConfig&, const triga::LearningRateScheduleContext&)
          -> std::unique_ptr<triga::LearningRateSchedule> {
        throw std::runtime_error("out of ideas");
      });
}
