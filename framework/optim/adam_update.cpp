#include "optim/adam_update.h"

#include <cmath>

#include "base/parallel.h"
#include "base/vector.h"

namespace triga {

TRIGA_VECTOR static void apply_piece(const AdamUpdate update, float* __restrict parameter,
                                     const float* __restrict gradient, float* __restrict exp_avg,
                                     float* __restrict exp_avg_sq, int64_t numel) {
  for (int64_t i = 0; i < numel; ++i) {
    const float g = gradient[i] * update.scale + update.penalty * parameter[i];
    const float m = exp_avg[i] + update.one_minus_beta1 * (g - exp_avg[i]);
    const float v = exp_avg_sq[i] * update.beta2 + update.one_minus_beta2 * g * g;
    const float divisor = std::sqrt(v) * update.root_scale + update.eps;
    exp_avg[i] = m;
    exp_avg_sq[i] = v;
    parameter[i] = parameter[i] * update.shrink - update.step_size * (m / divisor);
  }
}

void apply(const AdamUpdate& update, float* parameter, const float* gradient, float* exp_avg,
           float* exp_avg_sq, int64_t numel) {
  constexpr int64_t kGrain = 32768;  // about 20 microseconds
  parallel_for(numel, kGrain, [&](int64_t begin, int64_t end) {
    apply_piece(update, parameter + begin, gradient + begin, exp_avg + begin, exp_avg_sq + begin,
                end - begin);
  });
}

}  // namespace triga
