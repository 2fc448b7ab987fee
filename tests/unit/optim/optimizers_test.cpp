// Each optimizer against its formula, written out in double precision.
#include "optim/optimizers.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "optim/gradient_norm.h"
#include "optim/schedules.h"
#include "triga/random.h"

namespace triga {
namespace {

std::unique_ptr<Optimizer> make_optimizer(const std::string& kind, const ConfigNode& config) {
  Registry registry;
  register_core_optimizers(registry);
  for (const auto& entry : registry.optimizers.kinds())
    if (entry.name == kind) return entry.create(config, {});
  throw Error("no optimizer " + kind);
}

ConfigNode options(std::initializer_list<std::pair<const char*, const char*>> entries) {
  auto node = ConfigNode::make_mapping();
  for (const auto& [key, value] : entries) node.add(key, ConfigNode::make_scalar(value));
  return node;
}

struct Problem {
  OptimizerSlice slice;
  std::vector<double> x, g;
  static constexpr int64_t kSize = 37;

  Problem(const Optimizer& optimizer, OptimizerGroup group) {
    slice.parameter = at::empty({kSize}, at::kFloat);
    slice.gradient = at::empty({kSize}, at::kFloat);
    fill_normal(slice.parameter, RandomKey(1), 0, 1);
    for (size_t i = 0; i < optimizer.state_names().size(); ++i)
      slice.states.push_back(at::zeros({kSize}, at::kFloat));
    slice.group = group;
    for (int64_t i = 0; i < kSize; ++i) x.push_back(slice.parameter[i].item<float>());
    g.resize(kSize);
  }
  void draw_gradient(int64_t step) {
    fill_normal(slice.gradient, RandomKey(2).with(static_cast<uint64_t>(step)), 0, 1);
    for (int64_t i = 0; i < kSize; ++i) g[i] = slice.gradient[i].item<float>();
  }
  void expect_equal() const {  // fp32 arithmetic over ten steps of values near 1
    for (int64_t i = 0; i < kSize; ++i)
      EXPECT_NEAR(slice.parameter[i].item<float>(), x[i], 2e-6) << i;
  }
};

void run_adam(bool decoupled, double gradient_scale) {
  const double rate = 0.01, beta1 = 0.8, beta2 = 0.95, eps = 1e-6, decay = 0.1, rate_scale = 0.5;
  auto node = options({{"eps", "1e-6"}, {"weight_decay", "0.3"}});
  auto betas = ConfigNode::make_sequence();
  betas.items = {ConfigNode::make_scalar("0.8"), ConfigNode::make_scalar("0.95")};
  node.add("betas", betas);
  const auto optimizer = make_optimizer(decoupled ? "adamw" : "adam", node);
  Problem problem(*optimizer, {rate_scale, decay});
  std::vector<double> m(Problem::kSize), v(Problem::kSize);
  for (int64_t step = 1; step <= 10; ++step) {
    problem.draw_gradient(step);
    optimizer->update({&problem.slice, 1}, rate, step, gradient_scale);
    for (int64_t i = 0; i < Problem::kSize; ++i) {
      double& x = problem.x[i];
      double g = problem.g[i] * gradient_scale;
      if (decoupled)
        x *= 1 - rate * rate_scale * decay;
      else
        g += decay * x;
      m[i] = beta1 * m[i] + (1 - beta1) * g;
      v[i] = beta2 * v[i] + (1 - beta2) * g * g;
      const double m_hat = m[i] / (1 - std::pow(beta1, step)),
                   v_hat = v[i] / (1 - std::pow(beta2, step));
      x -= rate * rate_scale * m_hat / (std::sqrt(v_hat) + eps);
    }
  }
  problem.expect_equal();
}

TEST(AdamW, FollowsItsFormula) {
  run_adam(true, 1);
}
TEST(AdamW, ScalesTheGradient) {
  run_adam(true, 0.25);
}
TEST(Adam, FollowsItsFormula) {
  run_adam(false, 1);
}

TEST(Sgd, FollowsItsFormula) {
  for (const bool nesterov : {false, true}) {
    const double rate = 0.05, momentum = 0.9, decay = 0.01;
    const auto optimizer =
        make_optimizer("sgd", options({{"momentum", "0.9"},
                                       {"weight_decay", "0.01"},
                                       {"nesterov", nesterov ? "true" : "false"}}));
    Problem problem(*optimizer, {});
    std::vector<double> buffer(Problem::kSize);
    for (int64_t step = 1; step <= 10; ++step) {
      problem.draw_gradient(step);
      optimizer->update({&problem.slice, 1}, rate, step, 0.5);
      for (int64_t i = 0; i < Problem::kSize; ++i) {
        const double g = 0.5 * problem.g[i] + decay * problem.x[i];
        buffer[i] = step == 1 ? g : momentum * buffer[i] + g;
        problem.x[i] -= rate * (nesterov ? g + momentum * buffer[i] : buffer[i]);
      }
    }
    problem.expect_equal();
  }
}

TEST(Sgd, WithoutMomentumKeepsNoState) {
  EXPECT_TRUE(make_optimizer("sgd", options({}))->state_names().empty());
}

TEST(Optimizers, RefuseImpossibleOptions) {
  EXPECT_THROW(make_optimizer("sgd", options({{"nesterov", "true"}})), ConfigError);
  auto node = ConfigNode::make_mapping();
  auto betas = ConfigNode::make_sequence();
  betas.items = {ConfigNode::make_scalar("1.5"), ConfigNode::make_scalar("0.95")};
  node.add("betas", betas);
  EXPECT_THROW(make_optimizer("adamw", node), ConfigError);
}

std::unique_ptr<LearningRateSchedule> make_schedule(const std::string& kind,
                                                    const ConfigNode& config,
                                                    int64_t default_decay_steps = 0) {
  Registry registry;
  register_core_schedules(registry);
  for (const auto& entry : registry.learning_rate_schedules.kinds())
    if (entry.name == kind) return entry.create(config, {default_decay_steps});
  throw Error("no schedule " + kind);
}

TEST(Schedules, WarmUpIsLinearAndReachesThePeak) {
  for (const char* kind : {"constant", "linear", "cosine", "inverse_sqrt"}) {
    const auto schedule = make_schedule(kind, options({{"warmup_steps", "10"}}), 100);
    EXPECT_DOUBLE_EQ(schedule->factor(0), 0.1) << kind;
    EXPECT_DOUBLE_EQ(schedule->factor(4), 0.5) << kind;
    EXPECT_DOUBLE_EQ(schedule->factor(9), 1.0) << kind;
    EXPECT_NEAR(schedule->factor(10), 1.0, kind == std::string("inverse_sqrt") ? 0.05 : 1e-12)
        << kind;
  }
}

TEST(Schedules, DecayToTheFinalFactor) {
  const auto linear =
      make_schedule("linear", options({{"final_factor", "0.1"}, {"warmup_steps", "10"}}), 110);
  EXPECT_NEAR(linear->factor(60), 0.55, 1e-12);
  EXPECT_NEAR(linear->factor(110), 0.1, 1e-12);
  EXPECT_NEAR(linear->factor(500), 0.1, 1e-12);
  const auto cosine = make_schedule("cosine", options({{"decay_steps", "100"}}), 50);
  EXPECT_NEAR(cosine->factor(50), 0.5, 1e-12);
  EXPECT_NEAR(cosine->factor(25), 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(cosine->factor(100), 0, 1e-12);
  const auto inverse = make_schedule("inverse_sqrt", options({{"warmup_steps", "16"}}));
  EXPECT_NEAR(inverse->factor(63), 0.5, 1e-12);
}

TEST(Schedules, RefuseADecayThatIsNotKnownOrTooShort) {
  EXPECT_THROW(make_schedule("cosine", options({})), Error);
  EXPECT_THROW(make_schedule("linear", options({{"warmup_steps", "10"}, {"decay_steps", "10"}})),
               ConfigError);
}

TEST(SumOfSquares, IsExactAndIgnoresPadding) {
  at::Tensor x = at::zeros({1000}, at::kFloat);
  at::Tensor values = x.narrow(0, 0, 777);
  fill_uniform(values, RandomKey(1), -1, 1);
  double expected = 0;
  for (int64_t i = 0; i < 777; ++i)
    expected += std::pow(static_cast<double>(x[i].item<float>()), 2);
  EXPECT_NEAR(sum_of_squares(x), expected, 1e-12 * expected);
  EXPECT_EQ(sum_of_squares(x), sum_of_squares(values));
  x[5] = INFINITY;
  EXPECT_FALSE(std::isfinite(sum_of_squares(x)));
}

}  // namespace
}  // namespace triga
