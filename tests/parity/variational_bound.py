"""The variational bound of Ho et al. (2020), written down as in the paper, in fp64: equation 5 by torch.distributions, equation 13 as an
integral. Timesteps count from 0, as in diffusers: timestep t is the paper's t + 1."""

import math

import torch
from torch.distributions import Normal, kl_divergence


class Paper:
    """The forward process of a DDPMScheduler, and what follows from it."""

    def __init__(self, scheduler):
        self.prediction = scheduler.config.prediction_type
        self.beta = scheduler.betas.double()
        self.alpha_bar = scheduler.alphas_cumprod.double()
        self.before = torch.cat([torch.ones(1, dtype=torch.double), self.alpha_bar[:-1]])
        self.posterior_variance = (1 - self.before) / (1 - self.alpha_bar) * self.beta  # equation 7

    def __len__(self):
        return len(self.beta)

    def posterior_mean(self, t, x_0, x_t):
        """Equation 7; the reverse step's mean is the same of the image that is predicted (equation 10)."""
        of_image = self.before[t].sqrt() * self.beta[t] / (1 - self.alpha_bar[t])
        of_noisy = (1 - self.beta[t]).sqrt() * (1 - self.before[t]) / (1 - self.alpha_bar[t])
        return of_image * x_0 + of_noisy * x_t

    def predicted_image(self, t, x_t, output):
        signal, noise = self.alpha_bar[t].sqrt(), (1 - self.alpha_bar[t]).sqrt()
        return {"epsilon": (x_t - noise * output) / signal, "sample": output, "v_prediction": signal * x_t - noise * output}[self.prediction]

    def term(self, t, x_0, x_t, output, cut_off):
        """L_t of one image, in nats."""
        x_0, x_t, output = x_0.double(), x_t.double(), output.double()
        predicted = self.predicted_image(t, x_t, output)
        if cut_off:
            predicted = predicted.clamp(-1, 1)
        if t == 0:
            return -decoder(x_0, predicted, self.posterior_variance[1].sqrt()).sum()
        deviation = self.posterior_variance[t].sqrt()
        q = Normal(self.posterior_mean(t, x_0, x_t), deviation)
        p = Normal(self.posterior_mean(t, predicted, x_t), deviation)
        return kl_divergence(q, p).sum()

    def prior(self, x_0):
        """L_T of one image."""
        alpha = self.alpha_bar[-1]
        noisy = Normal(alpha.sqrt() * x_0.double(), (1 - alpha).sqrt())
        return kl_divergence(noisy, Normal(torch.zeros_like(noisy.mean), torch.ones_like(noisy.mean))).sum()


def decoder(x_0, mean, deviation, num_points=2001):
    """Equation 13: the density over the bin of each byte, by the midpoint rule; the outermost bins have no end."""
    half = 1 / 255
    points = (torch.arange(num_points, dtype=torch.double) + 0.5) / num_points * 2 * half - half
    density = Normal(mean[..., None], deviation).log_prob(x_0[..., None] + points)
    inside = density.logsumexp(-1) + math.log(2 * half / num_points)
    below = torch.special.log_ndtr((x_0 + half - mean) / deviation)
    above = torch.special.log_ndtr(-(x_0 - half - mean) / deviation)
    return torch.where(x_0 < -0.999, below, torch.where(x_0 > 0.999, above, inside))


def loss(paper, batch, output):
    """What is trained, in bits per dimension: the bound, from one timestep of each image."""
    total = 0
    for i, t in enumerate(batch["timesteps"]):
        term = paper.term(t, batch["image"][i], batch["noisy"][i], output[i], cut_off=False)
        total = total + paper.prior(batch["image"][i]) + len(paper) * term
    return total / batch["image"].numel() / math.log(2)


def bits_per_dim(paper, batches, model):
    """The whole bound of equation 5, of images that were looked at at every timestep."""
    total, num_pixels = 0.0, 0
    for batch in batches:
        output = model(batch["noisy"], batch["timesteps"]).sample
        for first in range(0, len(output), len(paper)):
            rows = range(first, first + len(paper))
            assert sorted(batch["timesteps"][first : first + len(paper)].tolist()) == list(range(len(paper)))
            assert all(torch.equal(batch["image"][i], batch["image"][first]) for i in rows)
            total += paper.prior(batch["image"][first]).item()
            total += sum(paper.term(batch["timesteps"][i], batch["image"][i], batch["noisy"][i], output[i], cut_off=True).item() for i in rows)
            num_pixels += batch["image"][first].numel()
    return total / num_pixels / math.log(2)


def estimated_bits_per_dim(paper, batches, model):
    """From a few timesteps of each image: the mean of the timesteps that were looked at stands for all."""
    terms, priors = {}, []
    for batch in batches:
        output = model(batch["noisy"], batch["timesteps"]).sample
        priors += [paper.prior(image) for image in batch["image"]]
        for i, t in enumerate(batch["timesteps"].tolist()):
            terms.setdefault(t, []).append(paper.term(t, batch["image"][i], batch["noisy"][i], output[i], cut_off=True).item())
    means = [sum(values) / len(values) for values in terms.values()]
    nats = sum(priors).item() / len(priors) + len(paper) * sum(means) / len(means)
    return nats / batches[0]["image"][0].numel() / math.log(2)
