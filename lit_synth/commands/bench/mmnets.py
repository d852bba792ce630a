"""What M&MNets save by running each network once a step, and what bfloat16 does to gradients."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lit_synth.commands.bench.gradients import (
    Gradients,
    check_equal,
    distance,
    flat_gradient,
    in_bfloat16,
    in_float32,
)
from lit_synth.commands.bench.timing import synchronise
from lit_synth.methods import MMNets
from lit_synth.methods.mmnets import Codes, Data, Of, Outputs

Batch = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class Bound:
    """A method, and what a step of it is computed from: the same for every form of the step.

    Attributes:
        method: In a stage with all terms but pseudo-pairs.
        x: Data by (set, modality).
        noise: Of the latent of every code.
    """

    method: MMNets
    x: Data
    noise: dict[Of, Tensor]

    def heard(self, codes: Codes) -> Codes:
        """Return the codes as decoders get them."""
        return {k: code._replace(h=code.h + self.noise[k].to(code.h)) for k, code in codes.items()}

    def made(self, pairs: list[tuple[Of, Of]]) -> Outputs:
        """Return outputs for pairs of source and target, each pair with passes of its own."""
        outputs: Outputs = {}
        for source, target in pairs:
            codes = self.heard(self.method.encode({source: self.x[source]}))
            outputs |= self.method.decode(codes, [(source, target)])
        return outputs


Form = Callable[[Bound], Iterator[Tensor]]


def shared_against_recomputed(method: MMNets, batch: Batch, pairs: int) -> dict[str, float]:
    """Time a step that shares codes and outputs among its losses, and one that does not.

    Both have the same gradient. That is checked with batch norm in eval mode: with statistics of
    the batch, a decoder's output depends on what else it decodes.

    Args:
        method: Attached to a trainer, in the stage to be timed.
        batch: {set: {modality: data}}.
        pairs: Rounds that are timed, after one that is not.

    Returns:
        Name -> median speed-up, ratio of the memory kept for the backward pass, and how far the
        gradients in bfloat16 are from those in float32.
    """
    x = {(s, m): batch[s][m] for s in batch for m in batch[s] if m in method.codings}
    with torch.no_grad():
        shapes = {key: code.h.shape for key, code in method.encode(x).items()}
    std = method.stage.weights.get("noise", 0.0)
    noise = {key: std * torch.randn(shape, device=method.device) for key, shape in shapes.items()}
    bound = Bound(method, x, noise)
    with in_float32(), evaluating(method):
        check_equal(gradients(shared, bound), gradients(recomputed, bound))
    kept = [bytes_kept(form, bound) for form in (shared, recomputed)]
    report = {"sharing, memory kept": kept[1] / kept[0]}
    with in_float32():
        ours = gradients(shared, bound)
    with in_bfloat16(method.device):
        rough = gradients(shared, bound)
    far = {name: distance(rough[name], ours[name]) for name in ours}
    report |= {f"bfloat16, {name} gradient's distance": d for name, d in far.items()}
    contexts = {
        "shared": (shared, in_float32),
        "recomputed": (recomputed, in_float32),
        "bf16": (shared, lambda: in_bfloat16(method.device)),
    }
    taken: dict[str, list[float]] = {name: [] for name in contexts}
    for _ in range(1 + pairs):
        for name, (form, context) in contexts.items():
            with context():
                taken[name].append(seconds(form, bound))
    rounds = list(zip(*(times[1:] for times in taken.values()), strict=True))
    report["sharing speed-up, float32"] = statistics.median(slow / fast for fast, slow, _ in rounds)
    report["bfloat16 speed-up"] = statistics.median(fast / rough for fast, _, rough in rounds)
    return report


def shared(bound: Bound) -> Iterator[Tensor]:
    """The losses as the method computes them: each network once over all that it is wanted for."""
    method, x = bound.method, bound.x
    codes = method.encode(x)
    y = method.decode(bound.heard(codes), method.seen(x))
    if method.is_adversarial:
        yield method.d_adversarial(x, y)
    yield method.objective(x, codes, y)


def recomputed(bound: Bound) -> Iterator[Tensor]:
    """The same losses, every term with encodings and decodings of its own."""
    method, x = bound.method, bound.x
    w, seen = method.stage.weights, method.seen(x)
    to_images = [(a, b) for a, b in seen if b[1] in method.discriminators]
    if method.is_adversarial:
        with torch.no_grad():
            y = bound.made(to_images)
        yield method.d_adversarial(x, y)

    loss = torch.zeros((), device=method.device)
    for source, target in dict.fromkeys((a[1], b[1]) for a, b in seen):
        y = bound.made([(a, b) for a, b in seen if (a[1], b[1]) == (source, target)])
        ((weight, term),) = method.reconstructions(x, y).values()
        loss = loss + weight * term
    for s, m in x:
        if "latent" in w and m != method.anchor:
            two = {key: x[key] for key in ((s, method.anchor), (s, m))}
            loss = loss + w["latent"] * method.latent_distance(method.encode(two))
    if method.is_adversarial:
        loss = loss + w["adversarial"] * method.g_adversarial(bound.made(to_images))
    yield loss


def gradients(form: Form, bound: Bound) -> Gradients:
    """Return the gradient of all losses of a form, by network."""
    method = bound.method
    method.zero_grad()
    for loss in form(bound):
        loss.backward()  # type: ignore[no-untyped-call]
    networks = {
        f"{kind}.{name}": network
        for kind in ("encoders", "decoders", "discriminators")
        for name, network in method.get_submodule(kind).named_children()
    }
    found = {name: flat_gradient(network) for name, network in networks.items()}
    method.zero_grad()
    return {name: each for name, each in found.items() if each.numel()}


def seconds(form: Form, bound: Bound) -> float:
    """Return the time of a form with its backward passes."""
    synchronise(bound.method.device)
    start = time.perf_counter()
    for loss in form(bound):
        loss.backward()  # type: ignore[no-untyped-call]
    bound.method.zero_grad()
    synchronise(bound.method.device)
    return time.perf_counter() - start


def bytes_kept(form: Form, bound: Bound) -> int:
    """Return the bytes that a form keeps for its backward passes, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in bound.method.parameters()}
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        losses = list(form(bound))  # all graphs are alive, so no address is used twice
    del losses
    return sum(kept.values())


@contextmanager
def evaluating(method: nn.Module) -> Iterator[None]:
    """Put all networks into eval mode, as long as the context lasts."""
    training = [module for module in method.modules() if module.training]
    method.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True
