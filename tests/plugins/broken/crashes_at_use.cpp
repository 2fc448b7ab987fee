// Opens well; its factory reads where nothing is.
#include "good.h"

TRIGA_PLUGIN(crashes_at_use, "1.0.0") {
  registry.learning_rate_schedules.add<triga::test::StillConfig>(
      "still", "Crashes.",
      [](const triga::test::StillConfig&, const triga::LearningRateScheduleContext&)
          -> std::unique_ptr<triga::LearningRateSchedule> {
        int* volatile nowhere = nullptr;
        *nowhere = 1;
        return nullptr;
      });
}
