"""Images of a generator, without a method around it."""

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from lit_synth.contracts.generator import Generator, HasStyles
from lit_synth.errors import InputError
from lit_synth.networks.miner import MinedGenerator

REACH = 2.0  # largest coordinate of a truncated z, before it is scaled (BigGAN's published modules)


@torch.no_grad()
def sample(
    generator: nn.Module,
    n: int,
    seed: int,
    batch_size: int = 64,
    truncation: float = 1.0,
    classes: Sequence[int] = (),
) -> Iterator[Tensor]:
    """Images (B, C, H, W) in [-1, 1] of a generator, in batches; classes are drawn evenly.

    A truncation below 1 trades variety for quality. One that maps z to w moves w towards
    its mean; of others, z is drawn from a normal distribution cut off at 2, and scaled.

    Args:
        generator: Has `latent_dim` and `num_classes`, as our networks have.
        n: Images in all.
        seed: Seed of latents and classes.
        batch_size: Images per batch.
        truncation: 1 for none, 0 for the mean image.
        classes: The classes that are drawn; empty for all.
    """
    made = cast("Generator", generator)
    _check(made.num_classes, truncation, classes)
    if truncation != 1 and isinstance(generator, MinedGenerator):
        raise InputError("a mined GAN draws from all of its latents: give truncation 1.")
    rng = torch.Generator().manual_seed(seed)
    device = next(generator.parameters()).device
    own = isinstance(generator, HasStyles)
    options = {"truncation": truncation} if own and truncation != 1 else {}
    for start in range(0, n, batch_size):
        size = min(batch_size, n - start)
        z = torch.randn(size, made.latent_dim, generator=rng)
        if truncation != 1 and not own:
            z = truncation * _cut_off(z, rng)
        given = [z.to(device)]
        if made.num_classes:
            chosen = torch.tensor(classes or range(made.num_classes))
            label = chosen[torch.randint(len(chosen), (size,), generator=rng)]
            given.append(label.to(device))
        yield generator(*given, **options).clamp(-1, 1)  # some only approach that


def _cut_off(z: Tensor, rng: torch.Generator) -> Tensor:
    """Draw coordinates beyond `REACH` again."""
    while (far := z.abs() > REACH).any():
        z = torch.where(far, torch.randn(z.shape, generator=rng), z)
    return z


def _check(num_classes: int, truncation: float, classes: Sequence[int]) -> None:
    if not 0 <= truncation <= 1:
        raise InputError(f"the truncation is {truncation}: expected 0 (the mean) to 1 (none).")
    wrong = [label for label in classes if not 0 <= label < num_classes]
    if wrong:
        known = f"0 to {num_classes - 1}" if num_classes else "none"
        raise InputError(f"class {wrong[0]} is asked for, but the generator's are {known}.")
