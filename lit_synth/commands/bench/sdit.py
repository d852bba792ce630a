"""What SDIT saves by the arrangement of its step, and what bfloat16 does to its gradients."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from lit_synth.batches.labels import labelled
from lit_synth.batches.sets import Nested
from lit_synth.commands.bench.gradients import (
    Gradients,
    check_equal,
    distance,
    flat_gradient,
    in_bfloat16,
    in_float32,
    instead,
)
from lit_synth.commands.bench.timing import synchronise
from lit_synth.losses.adversarial import wasserstein_critic_loss, wasserstein_generator_loss
from lit_synth.losses.penalties import gradient_penalty
from lit_synth.methods import SDIT
from lit_synth.networks import stargan

Minimize = Callable[[Tensor, LightningOptimizer], None]


@dataclass(frozen=True)
class Game:
    """A method, and what a step of it is computed from: the same for every form of the step.

    Attributes:
        method: Attached to a `PlainTrainer`.
        x: Images (N, C, H, W).
        c: Their labels (N, K).
        c_trg: Target labels (N, K).
        z: Latent codes (N, style_dim).
        alpha: Mixing weights of the gradient penalty (N, 1, 1, 1).
    """

    method: SDIT
    x: Tensor
    c: Tensor
    c_trg: Tensor
    z: Tensor
    alpha: Tensor

    @contextmanager
    def drawn(self, iteration: int, minimize: Minimize) -> Iterator[None]:
        """Have the method in an iteration draw what is given here, and minimise as told."""
        draws = {
            "shuffled": lambda _: self.c_trg,
            "style": lambda _: self.z,
            "rand": lambda *_: self.alpha,
        }
        with (
            instead(self.method.trainer, processed=iteration),
            instead(self.method, minimize=minimize, **draws),
        ):
            yield


Form = Callable[[Game], None]


def rearranged_against_released(method: SDIT, batch: Nested, pairs: int) -> dict[str, float]:
    """Time n_critic discriminator steps and one generator step, and the released code's form.

    Both have the same gradient, which is checked in float64. Distances mean something once the
    generator has trained a little: with random weights its images are all but flat, and the
    instance norms of the way back enlarge their rounding errors.

    Args:
        method: Attached to a trainer.
        batch: {set: {modality: data}}.
        pairs: Rounds that are timed, after one that is not.

    Returns:
        Name -> median speed-up, and how far the gradients in float32 and bfloat16 are from those in
        float64.
    """
    method.lambda_identity = 0.0  # the released code has no such term
    x, c = labelled(batch, method.domains)
    z = torch.randn(len(x), method.style_dim, device=x.device)
    game = Game(method, x, c, c.roll(1, 0), z, torch.rand(len(x), 1, 1, 1, device=x.device))
    with in_float64(game) as exact:
        true = gradients(rearranged, exact)
        check_equal(true, gradients(released, exact))
    contexts: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "float32": in_float32,
        "bfloat16": lambda: in_bfloat16(method.device),
    }
    report: dict[str, float] = {}
    taken: dict[tuple[Form, str], list[float]] = {}
    for precision, context in contexts.items():
        with context():
            found = gradients(rearranged, game)
            for name, gradient in found.items():
                far = distance(gradient.double(), true[name])
                report[f"{precision}, {name} gradient's distance"] = far
    for _ in range(1 + pairs):
        for precision, context in contexts.items():
            for form in (rearranged, released):
                with context():
                    taken.setdefault((form, precision), []).append(seconds(form, game))
    median = {key: statistics.median(times[1:]) for key, times in taken.items()}
    for precision in contexts:
        speed_up = median[released, precision] / median[rearranged, precision]
        report[f"rearranging speed-up, {precision}"] = speed_up
    ours = median[rearranged, "float32"] / median[rearranged, "bfloat16"]
    return report | {"bfloat16 speed-up": ours}


def rearranged(game: Game) -> None:
    """The step as the method takes it."""
    game.method.play(game.x, game.c)


@instead(stargan, SMALL=0)
def released(game: Game) -> None:
    """The same step as the released code arranges it.

    Real and fake pass through D one after the other, the fake of D's step is made with its graph,
    G's step computes the gradients of D's weights too, and no convolution is a matrix product.
    """
    method, x, c = game.method, game.x, game.c
    make, judge = method.generator, method.discriminator
    opt_g, opt_d = method.optimizers()

    real = judge(x)
    y = make(x, game.c_trg, game.z)
    fake = judge(y.detach(), x)
    d_adv = wasserstein_critic_loss(real.realness, fake.realness)
    d_gp = gradient_penalty(method.penalised, x, y.detach(), game.alpha)
    d_cls, d_lat = method.label_loss(real.logits, c), F.l1_loss(fake.code, game.z)
    d_game = method.lambda_adv * d_adv + method.lambda_gp * d_gp
    method.minimize(d_game + method.lambda_cls * d_cls + method.d_lambda_lat * d_lat, opt_d)

    if (method.iteration + 1) % method.n_critic == 0:
        y = make(x, game.c_trg, game.z)
        fake = judge(y, x)
        g_adv = wasserstein_generator_loss(fake.realness)
        g_cls, g_lat = method.label_loss(fake.logits, game.c_trg), F.l1_loss(fake.code, game.z)
        g_rec = F.l1_loss(make(y, c, game.z), x)
        g_game = method.lambda_adv * g_adv + method.lambda_cls * g_cls
        method.minimize(g_game + method.lambda_lat * g_lat + method.lambda_rec * g_rec, opt_g)


def gradients(form: Form, game: Game) -> Gradients:
    """Return each player's gradient in its own step, by part of the generator."""
    method, found = game.method, Gradients()
    _, opt_d = method.optimizers()

    def note(loss: Tensor, optimizer: LightningOptimizer) -> None:
        method.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        parts = {"discriminator": method.discriminator} if optimizer is opt_d else _parts(method)
        found.update({name: flat_gradient(part) for name, part in parts.items()})

    with game.drawn(method.n_critic - 1, note):
        form(game)
    method.zero_grad()
    return {name: each for name, each in found.items() if each.numel()}


def seconds(form: Form, game: Game) -> float:
    """Return the time of the losses of n_critic iterations with their backward passes."""
    method = game.method

    def backward(loss: Tensor, optimizer: LightningOptimizer) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    synchronise(method.device)
    start = time.perf_counter()
    for iteration in range(method.n_critic):
        with game.drawn(iteration, backward):
            form(game)
    method.zero_grad()
    synchronise(method.device)
    return time.perf_counter() - start


@contextmanager
def in_float64(game: Game) -> Iterator[Game]:
    """Put the method into float64, as long as the context lasts, and return the game so."""
    tensors = {name: each.double() for name, each in vars(game).items() if name != "method"}
    game.method.double()
    try:
        with in_float32():
            yield replace(game, **tensors)
    finally:
        game.method.float()


def _parts(method: SDIT) -> dict[str, nn.Module]:
    return dict(method.generator.named_children())
