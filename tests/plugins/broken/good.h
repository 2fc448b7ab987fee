// The one kind that the test plugins bring: a schedule that stays where it is.
#pragma once

#include "triga/plugin.h"

namespace triga::test {

struct StillConfig {
  double factor = 1;
};
inline void describe(Fields& fields, StillConfig& config) {
  fields.field("factor", config.factor).help("The factor of every step.").above(0);
}

class Still final : public LearningRateSchedule {
 public:
  explicit Still(double factor) : factor_(factor) {}
  double factor(int64_t /*step*/) const override { return factor_; }

 private:
  double factor_;
};

inline void register_still(Registry& registry, const std::string& name = "still") {
  registry.learning_rate_schedules.add<StillConfig>(
      name, "Stays where it is.",
      [](const StillConfig& config,
         const LearningRateScheduleContext&) -> std::unique_ptr<LearningRateSchedule> {
        return std::make_unique<Still>(config.factor);
      });
}

}  // namespace triga::test
