"""Generated images as an extractor sees them."""

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.contracts.data import Images
from lit_synth.features.base import Extractor, Features, extract
from lit_synth.inference.ask import draw
from lit_synth.inference.inputs import inputs
from lit_synth.method import Method


class Fakes(NamedTuple):
    """Generated images as an extractor sees them.

    Attributes:
        features: Of all of them.
        intended: Class (N,) meant for each, or None.
        ms_per_image: Time to generate one, in the fastest of the batches.
    """

    features: Features
    intended: Tensor | None
    ms_per_image: float


def fakes(
    extractor: Extractor, method: Method, real: Images, n: int, batch_size: int, seed: int
) -> Fakes:
    """Generate `n` images in batches of one size, and look at them.

    Args:
        extractor: Looks at them.
        method: Generates them, in the mode and with the weights that it has.
        real: What a method that translates starts from.
        n: Images kept; the last batch may make more.
        batch_size: Images made at once.
        seed: Of the priors.
    """
    rng = torch.Generator().manual_seed(seed)
    intended: list[Tensor] = []
    seconds: list[float] = []

    def batches() -> Iterator[Tensor]:
        for start in range(0, n, batch_size):
            prior = method.prior(batch_size, rng)
            batch = inputs(method, real, prior, start)
            began = time.perf_counter()
            images = draw(method, batch)  # ends with a look at the pixels: waits for the device
            seconds.append(time.perf_counter() - began)
            if "label" in prior:
                intended.append(prior["label"][: n - start])
            yield images[: n - start]

    features = extract(extractor, batches())
    return Fakes(
        features, torch.cat(intended) if intended else None, 1000 * min(seconds) / batch_size
    )
