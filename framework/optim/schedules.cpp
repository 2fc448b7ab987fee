#include "optim/schedules.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace triga {
namespace {

struct WarmupConfig {
  int64_t warmup_steps = 0;
};

struct DecayConfig : WarmupConfig {
  std::optional<int64_t> decay_steps;
  double final_factor = 0;
};

void describe(Fields& fields, WarmupConfig& config) {
  fields.field("warmup_steps", config.warmup_steps)
      .help("Steps over which the learning rate rises linearly from 0 to its peak.")
      .unit("steps")
      .at_least(0)
      .known_as({"num_warmup_steps", "warmup_iters", "lr_warmup"});
}

void describe(Fields& fields, DecayConfig& config) {
  describe(fields, static_cast<WarmupConfig&>(config));
  fields.field("decay_steps", config.decay_steps)
      .help(
          "Step at which the learning rate reaches its final value. Default: the limit of the "
          "run's first start; it "
          "stays when the limit grows. Required with train.max_minutes.")
      .unit("steps")
      .at_least(1)
      .known_as({"lr_decay_iters", "num_training_steps", "total_steps", "T_max"});
  fields.field("final_factor", config.final_factor)
      .help("Learning rate after decay_steps, as a share of the peak.")
      .at_least(0)
      .at_most(1)
      .known_as({"min_lr", "min_lr_ratio", "eta_min"});
  fields.rule("decay_steps", [&config]() -> std::optional<std::string> {
    if (!config.decay_steps || *config.decay_steps > config.warmup_steps) return std::nullopt;
    return c10::str("must be more than warmup_steps (", config.warmup_steps, ")");
  });
}

/// Rises in warm-up, then follows `shape`. Step 0 is the first update and already moves: (0 + 1) /
/// warmup_steps.
class Schedule final : public LearningRateSchedule {
 public:
  Schedule(int64_t warmup_steps, std::function<double(int64_t)> shape)
      : warmup_steps_(warmup_steps), shape_(std::move(shape)) {}

  double factor(int64_t step) const override {
    if (step < warmup_steps_)
      return static_cast<double>(step + 1) / static_cast<double>(warmup_steps_);
    return shape_(step);
  }

 private:
  int64_t warmup_steps_;
  std::function<double(int64_t)> shape_;
};

/// Share of the decay that is done at `step`: 0 at the end of warm-up, 1 from decay_steps on.
std::function<double(int64_t)> progress(const DecayConfig& config,
                                        const LearningRateScheduleContext& context) {
  const int64_t end = config.decay_steps.value_or(context.default_decay_steps);
  TRIGA_CHECK(end > 0, "a run whose number of steps is not known needs decay_steps");
  const int64_t begin = std::min(config.warmup_steps, end - 1);
  return [begin, end](int64_t step) {
    return std::clamp(static_cast<double>(step - begin) / static_cast<double>(end - begin), 0.0,
                      1.0);
  };
}

}  // namespace

void register_core_schedules(Registry& registry) {
  using Context = LearningRateScheduleContext;
  registry.learning_rate_schedules.add<WarmupConfig>(
      "constant", "The peak learning rate after warm-up.",
      [](const WarmupConfig& config, const Context&) {
        return std::make_unique<Schedule>(config.warmup_steps, [](int64_t) { return 1.0; });
      });
  registry.learning_rate_schedules.add<DecayConfig>(
      "linear", "A straight line from the peak to the final value.",
      [](const DecayConfig& config, const Context& context) {
        return std::make_unique<Schedule>(config.warmup_steps,
                                          [config, done = progress(config, context)](int64_t step) {
                                            return 1 - (1 - config.final_factor) * done(step);
                                          });
      });
  registry.learning_rate_schedules.add<DecayConfig>(
      "cosine", "Half a cosine from the peak to the final value (Loshchilov and Hutter 2017).",
      [](const DecayConfig& config, const Context& context) {
        return std::make_unique<Schedule>(
            config.warmup_steps, [config, done = progress(config, context)](int64_t step) {
              const double half_cosine = 0.5 * (1 + std::cos(std::numbers::pi * done(step)));
              return config.final_factor + (1 - config.final_factor) * half_cosine;
            });
      });
  registry.learning_rate_schedules.add<WarmupConfig>(
      "inverse_sqrt", "Falls with the root of the step after warm-up (Vaswani et al. 2017).",
      [](const WarmupConfig& config, const Context&) {
        const double peak = static_cast<double>(std::max<int64_t>(1, config.warmup_steps));
        return std::make_unique<Schedule>(config.warmup_steps, [peak](int64_t step) {
          return std::sqrt(peak / std::max(peak, static_cast<double>(step + 1)));
        });
      });
}

}  // namespace triga
