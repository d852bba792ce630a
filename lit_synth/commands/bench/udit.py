"""What UDIT saves by the arrangement of its step, and what bfloat16 does to its gradients."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from lit_synth.batches.sets import Nested, examples
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
from lit_synth.losses.reconstruction import masked_l1
from lit_synth.losses.total import total
from lit_synth.methods import UDIT
from lit_synth.networks.munit import UpConv5x5
from lit_synth.networks.parts.codes import Code

NETWORKS = ("content_encoders", "style_encoders", "decoders")
DISCRIMINATORS = "discriminators"

Minimize = Callable[[Tensor, LightningOptimizer], None]


@dataclass(frozen=True)
class Game:
    """A method, and what a step of it is computed from: the same for every form of the step.

    Attributes:
        method: Attached to a trainer.
        x: Images of each domain (N, C, H, W).
        s_new: Styles of each domain's translations (N, style_dim).
    """

    method: UDIT
    x: dict[str, Tensor]
    s_new: dict[str, Tensor]

    @contextmanager
    def drawn(self, minimize: Minimize) -> Iterator[None]:
        """Have the method draw the given styles, minimise as told and keep no record."""
        styles = iter(self.s_new.values())
        with instead(
            self.method,
            randn=lambda *_: next(styles),
            minimize=minimize,
            track=lambda **_: None,
        ):
            yield


Form = Callable[[Game], None]


def rearranged_against_released(method: UDIT, batch: Nested, pairs: int) -> dict[str, float]:
    """Time a step as the method takes it, and one as the released code arranges it.

    Both have the same gradient, which is checked in float64.

    Args:
        method: Attached to a trainer.
        batch: {set: {domain: images}}.
        pairs: Rounds that are timed, after one that is not.

    Returns:
        Name -> median speed-up, and how far the gradients in float32 and bfloat16 are from those in
        float64.
    """
    x = {i: examples(batch, i) for i in method.other}
    s_new = {
        j: torch.randn(len(x[i]), method.style_dim, device=x[i].device)
        for j, i in method.other.items()
    }
    game = Game(method, x, s_new)
    with in_float64(game) as exact:
        true = gradients(rearranged, exact)
        check_equal(true, gradients(released, exact))
    contexts: dict[str, Callable[[], AbstractContextManager[object]]] = {
        "float32": in_float32,
        "bfloat16": lambda: in_bfloat16(method.device),
    }
    report: dict[str, float] = {}
    for precision, context in contexts.items():
        with context():
            found = gradients(rearranged, game)
        for name, gradient in found.items():
            far = distance(gradient.double(), true[name])
            report[f"{precision}, {name} gradient's distance"] = far
    taken: dict[tuple[Form, str], list[float]] = {}
    for _ in range(1 + pairs):
        for precision, context in contexts.items():
            for form in (rearranged, released):
                with context():
                    taken.setdefault((form, precision), []).append(seconds(form, game))
    for precision in contexts:
        report[f"rearranging speed-up, {precision}"] = _speed_up(
            taken[released, precision], taken[rearranged, precision]
        )
    ours = [taken[rearranged, precision] for precision in contexts]
    return report | {"bfloat16 speed-up": _speed_up(*ours)}


def rearranged(game: Game) -> None:
    """The step as the method takes it."""
    game.method.training_step({i: {i: x} for i, x in game.x.items()})


def released(game: Game) -> None:
    """The same step as MUNIT's code arranges it.

    Each player encodes and translates for itself, the discriminators' translations with their
    graph; real and translated images pass through a discriminator one after the other; the
    generators' step computes gradients of the discriminators' weights too; images are enlarged
    before conv5x5.
    """
    method = game.method
    opt_g, opt_d = method.optimizers()
    with instead(UpConv5x5, forward=_enlarged_first):
        _, _, x_fake = _codes_and_translations(game)
        d_adv = total(_d_adversarial(method, j, game.x[j], x_fake[j].detach()) for j in x_fake)
        method.minimize(method.lambda_gan * d_adv, opt_d)
        method.minimize(_objective(game), opt_g)


def _codes_and_translations(
    game: Game,
) -> tuple[dict[str, Code], dict[str, Tensor], dict[str, Tensor]]:
    """Return content, style and translations of each domain."""
    method, x = game.method, game.x
    c = {i: method.content_encoders[i](x[i]) for i in x}
    s = {i: method.style_encoders[i](x[i]) for i in x}
    x_fake = {j: method.decoders[j](c[i], game.s_new[j]) for j, i in method.other.items()}
    return c, s, x_fake


def _d_adversarial(method: UDIT, domain: str, x: Tensor, x_fake: Tensor) -> Tensor:
    judge = method.discriminators[domain]
    real = total(_square(t - 1) for t in judge(x))
    return real + total(_square(t) for t in judge(x_fake))


def _objective(game: Game) -> Tensor:
    """Return the generators' loss."""
    method, x, s_new = game.method, game.x, game.s_new
    c, s, x_fake = _codes_and_translations(game)
    loss = torch.zeros((), device=method.device)
    for j, i in method.other.items():
        loss = loss + method.lambda_x * masked_l1(method.decoders[i](c[i], s[i]), x[i])
        content, style = method.content_encoders[j](x_fake[j]), method.style_encoders[j](x_fake[j])
        loss = loss + method.lambda_c * masked_l1(content.h, c[i].h)
        loss = loss + method.lambda_s * masked_l1(style, s_new[j])
        scores = method.discriminators[j](x_fake[j])
        loss = loss + method.lambda_gan * total(_square(t - 1) for t in scores)
        loss = loss + method.lambda_semantic * method.semantic(x_fake[j], x[i])
    return loss


def _square(scores: Tensor) -> Tensor:
    """Return the mean square, of float32 or wider."""
    return scores.to(torch.promote_types(scores.dtype, torch.float32)).square().mean()


def _enlarged_first(conv: UpConv5x5, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        x = F.pad(F.interpolate(x, scale_factor=2.0), (2, 2, 2, 2), mode="reflect")
    return F.conv2d(x, conv.weight, conv.bias)


def gradients(form: Form, game: Game) -> Gradients:
    """Return each player's gradient in its own step, by network."""
    method, found = game.method, Gradients()
    _, opt_d = method.optimizers()

    def note(loss: Tensor, optimizer: LightningOptimizer) -> None:
        method.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        names = (DISCRIMINATORS,) if optimizer is opt_d else NETWORKS
        found.update({name: flat_gradient(method.get_submodule(name)) for name in names})

    with game.drawn(note):
        form(game)
    method.zero_grad()
    return found


def seconds(form: Form, game: Game) -> float:
    """Return the time of an iteration's losses with their backward passes."""

    def backward(loss: Tensor, optimizer: LightningOptimizer) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]

    synchronise(game.method.device)
    start = time.perf_counter()
    with game.drawn(backward):
        form(game)
    game.method.zero_grad()
    synchronise(game.method.device)
    return time.perf_counter() - start


@contextmanager
def in_float64(game: Game) -> Iterator[Game]:
    """Put the method into float64, as long as the context lasts, and return the game so."""
    x = {name: each.double() for name, each in game.x.items()}
    s_new = {name: each.double() for name, each in game.s_new.items()}
    game.method.double()
    try:
        with in_float32():
            yield Game(game.method, x, s_new)
    finally:
        game.method.float()


def _speed_up(slow: list[float], fast: list[float]) -> float:
    """Return the median ratio of times taken in turn, the first left out."""
    return statistics.median(a / b for a, b in zip(slow[1:], fast[1:], strict=True))
