// One update of Adam or AdamW on the CPU in one pass over memory: 16 bytes read and 12 written for
// a parameter, which is what bounds it. LibTorch's fused kernel divides three times an element, and
// takes a quarter longer where memory is fast (docs/performance.md, P6).
#pragma once

#include <cstdint>

namespace triga {

/// Constants of an update, as torch.optim's: with t the step, b1 and b2 the betas, r the learning
/// rate and w the weight decay,
///
///   g = scale * gradient            (Adam: + w * parameter)
///   m = m + (1 - b1) (g - m)
///   v = b2 v + (1 - b2) g^2
///   parameter = shrink * parameter - r / (1 - b1^t) * m / (sqrt(v) / sqrt(1 - b2^t) + eps)
///
/// where shrink is 1 - r w for AdamW, and 1 for Adam.
struct AdamUpdate {
  float scale = 1, penalty = 0;  // penalty: w of Adam, 0 of AdamW
  float one_minus_beta1 = 0, beta2 = 0, one_minus_beta2 = 0;
  float shrink = 1, step_size = 0, root_scale = 1, eps = 0;
};

/// `numel` elements of each; the bits do not depend on how a range is divided into calls.
void apply(const AdamUpdate& update, float* parameter, const float* gradient, float* exp_avg,
           float* exp_avg_sq, int64_t numel);

}  // namespace triga
