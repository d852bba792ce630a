"""Which pretrained GAN suits a target? Ranking by what each generates (thesis table 2.5)."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from lit_synth.features.base import Extractor, extract
from lit_synth.metrics.fid import fid
from lit_synth.metrics.standard_error import standard_error
from lit_synth.releases.sampling import sample


class Ranked(NamedTuple):
    """A source, its FID to the target and the standard error of that."""

    source: str
    fid: float
    standard_error: float


def rank_sources(
    target: Tensor,
    sources: Mapping[str, nn.Module],
    extractor: Extractor,
    n: int = 2048,
    seed: int = 0,
) -> list[Ranked]:
    """Sort pretrained generators by FID(generated, target), nearest first.

    It needs no training, but predicts the result of transfer only roughly: in the thesis it
    overrates Places and underrates Bedrooms (table 2.5 against 2.4).

    Args:
        target: Features (M, D) of the target's real images, from `extractor`.
        sources: Name -> pretrained generator.
        extractor: Sees what the generators draw.
        n: Images per source; FIDs compare only at equal n.
        seed: Seed of the latents, the same for all sources.
    """
    ranked = []
    for name, generator in sources.items():
        fake = extract(extractor, sample(generator, n, seed)).features
        error = standard_error(fid, target, fake, repeats=10, seed=seed)
        ranked.append(Ranked(name, fid(target, fake), error))
    return sorted(ranked, key=lambda source: source.fid)
