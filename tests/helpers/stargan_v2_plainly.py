"""An iteration of StarGAN v2 as its authors arrange it, every update for itself."""

import contextlib
from unittest import mock

import torch
import torch.nn.functional as F

from lit_synth.networks import stargan_v2
from lit_synth.networks.stargan_v2 import ResidualBlock, StyledBlock


def discriminator_loss(method, x, y, t, s):
    """BCE of real and made images, and R1 on the real; the fakes are made here."""
    x = x.detach().requires_grad_()
    out = method.discriminator(x, y)
    real = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
    (slope,) = torch.autograd.grad(out.sum(), x, create_graph=True)
    r1 = 0.5 * slope.square().flatten(1).sum(1).mean(0)
    with torch.no_grad():
        x_fake = method.generator(x, s())
    out = method.discriminator(x_fake, t)
    return real + F.binary_cross_entropy_with_logits(out, torch.zeros_like(out)) + r1


def generator_loss(method, x, y, t, s, s_2, lambda_ds):
    """Equation 5; whatever learns from it is chosen by who steps."""
    s = s()
    x_fake = method.generator(x, s)
    out = method.discriminator(x_fake, t)
    adv = F.binary_cross_entropy_with_logits(out, torch.ones_like(out))
    sty = (method.style_encoder(x_fake, t) - s).abs().mean()
    ds = (x_fake - method.generator(x, s_2()).detach()).abs().mean()
    x_rec = method.generator(x_fake, method.style_encoder(x, y))
    cyc = (x_rec - x).abs().mean()
    return adv + method.lambda_sty * sty - lambda_ds * ds + method.lambda_cyc * cyc


def iteration(method, x, y, plan, z, z_2, minimize, lambda_ds):
    """Take the four steps: `minimize(loss, players)` is told who is to step."""

    def latent(code):
        return lambda: method.mapping(code, plan.t)

    def guided(places):
        return lambda: method.style_encoder(x[places], plan.t)

    latents, references = (z, z_2), (plan.reference, plan.second)
    minimize(discriminator_loss(method, x, y, plan.t, latent(z)), ["discriminator"])
    minimize(discriminator_loss(method, x, y, plan.t, guided(references[0])), ["discriminator"])
    styles = [latent(code) for code in latents]
    everybody = ["generator", "mapping", "style_encoder"]
    minimize(generator_loss(method, x, y, plan.t, *styles, lambda_ds), everybody)
    styles = [guided(places) for places in references]
    minimize(generator_loss(method, x, y, plan.t, *styles, lambda_ds), ["generator"])


def _residual(self, x):
    h, passed = self.conv1(self.activation(self.norm1(x))), self.shortcut(x)
    if self.down:
        h, passed = F.avg_pool2d(h, 2), F.avg_pool2d(passed, 2)
    return (self.conv2(self.activation(self.norm2(h))) + passed) * stargan_v2.SHIFT


def _styled(self, x, s):
    h, passed = self.activation(self.norm1(x, s)), x
    if self.up:
        h, passed = (F.interpolate(each, scale_factor=2, mode="nearest") for each in (h, passed))
    h = self.conv2(self.activation(self.norm2(self.conv1(h), s)))
    return (h + self.shortcut(passed)) * stargan_v2.SHIFT if self.sums else h


@contextlib.contextmanager
def blocks_as_released():
    """Have blocks enlarge before they convolve, and take means afterwards."""
    with (
        mock.patch.object(ResidualBlock, "forward", _residual),
        mock.patch.object(StyledBlock, "forward", _styled),
    ):
        yield
