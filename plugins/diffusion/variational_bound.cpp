#include "diffusion/variational_bound.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/special_log_ndtr.h>
#include <ATen/ops/where.h>

#include <cmath>

namespace triga::diffusion {
namespace {

/// The distance of a byte to the next one, when 0 to 255 are -1 to 1.
constexpr double kBin = 2.0 / 255;

at::Tensor sum_of_pixels(const at::Tensor& x_BCHW) {
  return x_BCHW.flatten(1).sum(1);
}

/// alphas_cumprod of the timestep before; 1 before the first.
at::Tensor alphas_before(const at::Tensor& alphas) {
  at::Tensor before = alphas.roll(1, 0);
  before[0] = 1;
  return before;
}

}  // namespace

// With a = alphas_cumprod[t] and b = that of the step before, the posterior's mean takes
// sqrt(b) beta / (1 - a) of the image, and both variances are beta (1 - b) / (1 - a) (equation 7).
VariationalBound::VariationalBound(const NoiseSchedule& schedule, Prediction prediction)
    : schedule_(schedule), prediction_(prediction) {
  const at::Tensor beta = schedule.betas().to(at::kDouble);
  const at::Tensor now = schedule.alphas_cumprod().to(at::kDouble);
  const at::Tensor before = alphas_before(now);
  at::Tensor of_image = before * beta / (2 * (1 - now) * (1 - before));
  of_image[0] = 0;
  at::Tensor of_target = of_image;
  if (prediction == Prediction::kEpsilon) of_target = of_image * (1 - now) / now;
  if (prediction == Prediction::kVelocity) of_target = of_image * (1 - now);
  image_weights_ = of_image.to(at::kFloat);
  target_weights_ = of_target.to(at::kFloat);
  const at::Tensor variance = beta * (1 - before) / (1 - now);
  decoder_deviation_ = std::sqrt(
      (variance.size(0) > 1 ? variance[1] : beta[0]).item<double>());  // of one step: beta
}

at::Tensor VariationalBound::prior(const at::Tensor& image_BCHW) const {
  const double alpha = schedule_.alphas_cumprod()[-1].item<double>();
  return sum_of_pixels(0.5 * (alpha * image_BCHW.square() - alpha - std::log1p(-alpha)));
}

at::Tensor VariationalBound::term(const Batch& batch, const at::Tensor& output_BCHW,
                                  Estimate estimate) const {
  const at::Tensor &image = batch["image"], &timesteps = batch["timesteps"];
  const at::Tensor output = output_BCHW.to(at::kFloat);
  at::Tensor predicted = schedule_.image(prediction_, batch["noisy"], output, timesteps);
  at::Tensor terms;
  if (estimate == Estimate::kCutOff) {
    predicted = predicted.clamp(-1, 1);
    terms = image_weights_.to(timesteps.device()).index_select(0, timesteps) *
            sum_of_pixels((image - predicted).square());
  } else {
    terms = target_weights_.to(timesteps.device()).index_select(0, timesteps) *
            sum_of_pixels((batch["target"] - output).square());
  }
  const at::Tensor first = timesteps.eq(0).nonzero().flatten();  // rows of the last denoising step
  if (first.size(0) == 0) return terms;
  return terms.index_add(0, first,
                         decoder(image.index_select(0, first), predicted.index_select(0, first)));
}

/// The probability of a byte is that of its bin, which at 0 and 255 has no end. Logarithms of tails
/// are taken where they do not vanish, so that a mean far away still has a gradient.
at::Tensor VariationalBound::decoder(const at::Tensor& image_BCHW,
                                     const at::Tensor& mean_BCHW) const {
  const at::Tensor distance =
      (image_BCHW.to(at::kDouble) - mean_BCHW.to(at::kDouble)) / decoder_deviation_;
  const double half = kBin / 2 / decoder_deviation_;
  const at::Tensor away = distance.abs();
  const at::Tensor near_end = at::special_log_ndtr(half - away);
  const at::Tensor far_end = at::special_log_ndtr(-half - away);
  const at::Tensor inside = near_end + (-(far_end - near_end).exp()).log1p();
  const at::Tensor log_likelihood = at::where(
      image_BCHW < -1 + kBin / 2, at::special_log_ndtr(half + distance),
      at::where(image_BCHW > 1 - kBin / 2, at::special_log_ndtr(half - distance), inside));
  return -sum_of_pixels(log_likelihood).to(at::kFloat);
}

}  // namespace triga::diffusion
