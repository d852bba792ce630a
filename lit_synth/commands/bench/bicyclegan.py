"""What BicycleGAN saves by the arrangement of its step."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lit_synth.baselines import BicycleGAN
from lit_synth.batches.sets import Nested, pairs
from lit_synth.commands.bench.gradients import (
    Gradients,
    check_equal,
    flat_gradient,
    in_float32,
    instead,
)
from lit_synth.commands.bench.timing import synchronise
from lit_synth.losses.latents import kl_to_standard_normal
from lit_synth.losses.total import total
from lit_synth.networks.parts.blocks import ConvPool3x3

NETWORKS = ("generator", "encoder", "discriminators")


@dataclass(frozen=True)
class Game:
    """A method, and what a step of it is computed from: the same for every form of the step.

    Attributes:
        method: Attached to a trainer.
        x: What is given (N, C, H, W), both halves of a batch by turns.
        y: What belongs to it.
        noise: Of the encoded styles (N / 2, style_dim).
        z_random: Random styles (N / 2, style_dim).
    """

    method: BicycleGAN
    x: Tensor
    y: Tensor
    noise: Tensor
    z_random: Tensor

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Have the method draw the given numbers, take no step and keep no record."""
        draws = iter((self.noise, self.z_random))
        with instead(
            self.method,
            randn=lambda *_: next(draws),
            minimize=lambda loss, _: _add_gradients(loss),
            track=lambda **_: None,
        ):
            yield


Form = Callable[[Game], None]


def rearranged_against_released(method: BicycleGAN, batch: Nested, rounds: int) -> dict[str, float]:
    """Time a step as the method takes it, and one as the released code arranges it.

    Both have the same gradient, which is checked in float64.

    Args:
        method: Attached to a trainer.
        batch: {set: {modality: data}}.
        rounds: Rounds that are timed, after one that is not.

    Returns:
        Name -> median speed-up.
    """
    x, y = pairs(batch, method.source, method.target)
    noise, z = (torch.randn(len(x) // 2, method.style_dim, device=x.device) for _ in range(2))
    game = Game(method, x, y, noise, z)
    with in_float64(game) as exact:
        check_equal(gradients(rearranged, exact), gradients(released, exact))
    taken: dict[Form, list[float]] = {rearranged: [], released: []}
    with in_float32():
        for _ in range(1 + rounds):
            for form, seconds in taken.items():
                seconds.append(seconds_of(form, game))
    ratios = (a / b for a, b in zip(taken[released][1:], taken[rearranged][1:], strict=True))
    return {"rearranging speed-up, float32": statistics.median(ratios)}


def rearranged(game: Game) -> None:
    """The step as the method takes it."""
    method = game.method
    with game.drawn():
        method.training_step({"pairs": {method.source: game.x, method.target: game.y}})


def released(game: Game) -> None:
    """The same step as BicycleGAN's code arranges it.

    A pass of the generator for encoded and one for random styles; a backward pass for what moves
    the generator and the encoder, and one for the random styles; made and real images pass through
    a discriminator one after the other; conv3x3 and the mean of 2x2 pixels one after the other.
    """
    method, (x, x_other), (y, y_other) = game.method, _halves(game.x), _halves(game.y)
    judges = method.discriminators
    with instead(ConvPool3x3, forward=_convolved_first):
        mu, logvar = method.encoder(y)
        encoded = method.generator(x, game.noise * (logvar / 2).exp() + mu)
        random = method.generator(x, game.z_random)
        read = method.encoder(random)[0]

        judges.requires_grad_(False)
        loss = method.lambda_gan * _square(judges["encoded"](method.seen(x, encoded)), 1)
        random_scores = judges["random"](method.seen(x, random))
        loss = loss + method.lambda_gan_random * _square(random_scores, 1)
        loss = loss + method.lambda_kl * kl_to_standard_normal(mu, logvar)
        loss = loss + method.lambda_rec * (encoded - y).abs().mean()
        _add_gradients(loss, again=True)
        method.encoder.requires_grad_(False)
        _add_gradients(method.lambda_latent * (read - game.z_random).abs().mean())
        method.encoder.requires_grad_(True)
        judges.requires_grad_(True)

        made = {"encoded": (x, y, encoded), "random": (x_other, y_other, random)}
        for kind, (of, real, fake) in made.items():
            d_fake = _square(judges[kind](method.seen(x, fake.detach())), 0)
            _add_gradients(d_fake + _square(judges[kind](method.seen(of, real)), 1))


def _add_gradients(loss: Tensor, again: bool = False) -> None:
    loss.backward(retain_graph=again)  # type: ignore[no-untyped-call]  # of torch


def _halves(pairs: Tensor) -> tuple[Tensor, Tensor]:
    return pairs[::2], pairs[1::2]


def _square(scores: list[Tensor], label: float) -> Tensor:
    return total((each - label).square().mean() for each in scores)


def _convolved_first(conv: ConvPool3x3, x: Tensor) -> Tensor:
    return F.avg_pool2d(F.conv2d(x, conv.weight, conv.bias, padding=1), 2)


def gradients(form: Form, game: Game) -> Gradients:
    """Return the gradient of each network."""
    method = game.method
    method.zero_grad()
    form(game)
    found: Gradients = {name: flat_gradient(method.get_submodule(name)) for name in NETWORKS}
    method.zero_grad()
    return found


def seconds_of(form: Form, game: Game) -> float:
    """Return the time of an iteration's losses with their backward passes."""
    game.method.zero_grad()
    synchronise(game.method.device)
    start = time.perf_counter()
    form(game)
    synchronise(game.method.device)
    taken = time.perf_counter() - start
    game.method.zero_grad()
    return taken


@contextmanager
def in_float64(game: Game) -> Iterator[Game]:
    """Put the method into float64, as long as the context lasts, and return the game so."""
    tensors = (each.double() for each in (game.x, game.y, game.noise, game.z_random))
    game.method.double()
    try:
        with in_float32():
            yield Game(game.method, *tensors)
    finally:
        game.method.float()
