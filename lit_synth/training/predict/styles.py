"""The styles that `predict` translates in: drawn, read from references, or between two of these."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from datamodules.files.decoding import Resize, Size
from datamodules.files.modalities import read_modality
from datamodules.files.scenes import find
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes
from lit_synth.contracts.data import Batch
from lit_synth.contracts.translator import HasStyles, ReadsStyles, Translator
from lit_synth.errors import InputError
from lit_synth.inference.ask import read_styles
from lit_synth.inference.styles import styles_of

STYLE = "style"


class AskedStyles(Protocol):
    """What the command line says of styles."""

    styles: int | None
    reference: list[str] | None
    interpolate: int | None
    seed_everything: int


@dataclass(frozen=True)
class StyleChoice:
    """Which styles each scene is translated in.

    Attributes:
        style_dim: Length of a style; None for a method that has none.
        seed: Of the styles that are drawn, each scene's own.
        n: How many are drawn for a scene.
        steps: How many to make on the way from the first of two styles to the second; None: the
            styles themselves.
        references: Images (R, C, H, W) whose styles are used for every scene; None: draw.
        reference_names: Of these.
        domain: What they are images of.
    """

    style_dim: int | None
    seed: int
    n: int
    steps: int | None
    references: Tensor | None = None
    reference_names: tuple[str, ...] = ()
    domain: str = ""

    @property
    def labels(self) -> list[str]:
        """What to call each result of a scene; one that stands alone needs no name."""
        if self.steps is not None:
            return [f"{share:.2f}" for share in torch.linspace(0, 1, self.steps).tolist()]
        if self.references is not None:
            return list(self.reference_names)
        return [f"style {k}" for k in range(1, self.n + 1)] if self.n > 1 else [""]

    @property
    def endings(self) -> list[str]:
        """What follows the name of a scene in the names of its files."""
        return endings_of(len(self.labels), self.steps)

    def drawn(self, positions: Sequence[int]) -> Batch:
        """Return as `style` what is drawn for scenes, (N, n, style_dim): a function of the seed."""
        if self.style_dim is None or self.references is not None:
            return {}
        shape = (self.n, self.style_dim)
        rngs = [_generator(self.seed, position) for position in positions]
        return {STYLE: torch.stack([torch.randn(shape, generator=rng) for rng in rngs])}

    def of(self, method: Translator, x: Batch) -> list[Batch]:
        """Return what `translate` is to be given for each result of scenes `x`."""
        x = dict(x)
        given = x.pop(STYLE, None)
        if self.references is not None:
            assert isinstance(method, ReadsStyles), "was checked"
            like = next(iter(x.values()))
            read = read_styles(method, self.references.to(like.device), self.domain)
            given = read.expand(len(like), -1, -1)
        elif given is not None:
            n, k, _ = given.shape
            given = styles_of(method, given.flatten(0, 1)).view(n, k, -1)
        if given is None:
            return [x]
        if self.steps is not None:
            first, second = given.unbind(1)
            shares = torch.linspace(0, 1, self.steps).tolist()
            given = torch.stack([torch.lerp(first, second, share) for share in shares], dim=1)
        return [{**x, STYLE: style} for style in given.unbind(1)]


def choose_styles(
    method: Translator,
    domain: str,
    asked: AskedStyles,
    modality: Modality,
    size: Size,
    resize: Resize,
) -> StyleChoice:
    """Find out which styles are asked for.

    Args:
        method: Makes the translations.
        domain: Their target.
        asked: What the command line says.
        modality: What the target is.
        size: Side of its pictures in pixels, or height and width.
        resize: How references of other shapes get this one.

    Raises:
        InputError: If the method cannot do that, or what is asked for does not fit together.
        DataError: If a reference cannot be read.
    """
    _check(method, asked)
    drawn = StyleChoice(
        method.style_dim if isinstance(method, HasStyles) else None,
        asked.seed_everything,
        n=asked.styles or (1 if asked.interpolate is None else 2),
        steps=asked.interpolate,
    )
    if not asked.reference:
        return drawn
    files = files_of(asked.reference)
    if asked.interpolate is not None and len(files) != 2:
        raise InputError(
            f"--reference names {len(files)} images and --interpolate goes from one to another: "
            "give two."
        )
    images, names = read_images(files, modality, size, resize), tuple(file.stem for file in files)
    return replace(drawn, references=images, reference_names=names, domain=domain)


def _check(method: Translator, asked: AskedStyles) -> None:
    for option, number, least in (
        ("styles", asked.styles, 1),
        ("interpolate", asked.interpolate, 2),
    ):
        if number is not None and number < least:
            raise InputError(f"--{option} is {number}: expected at least {least}.")
    others = {"reference": asked.reference, "interpolate": asked.interpolate}
    given = [option for option, value in others.items() if value is not None]
    if asked.styles is not None and given:
        raise InputError(
            f"--styles draws styles and --{given[0]} says which they are: give one of both."
        )
    several = ["styles"] if asked.styles is not None and asked.styles > 1 else given
    name = type(method).__name__
    if several and not isinstance(method, HasStyles):
        raise InputError(
            f"--{several[0]} is for methods that make many results of one input, and {name} makes "
            "one: leave it out."
        )
    if asked.reference is not None and not isinstance(method, ReadsStyles):
        raise InputError(
            f"--reference asks for the style of an image, which {name} cannot read: draw styles "
            "with --styles."
        )


def endings_of(n: int, steps: int | None) -> list[str]:
    """Return what follows the name of a scene in the names of the files of its `n` results."""
    if steps is not None:
        return ["_interpolation"]
    return [f"_style{k}" for k in range(1, n + 1)] if n > 1 else [""]


def read_images(files: Sequence[Path], modality: Modality, size: Size, resize: Resize) -> Tensor:
    """Return images (R, C, H, W) in [-1, 1] of files; DataError if one cannot be read."""
    stored = [read_modality(file, str(file), modality, size, resize) for file in files]
    names = [str(file) for file in files]
    images = MemoryScenes({"image": modality}, {"image": torch.stack(stored)}, names)
    return images.fetch(range(len(files)))["image"]


def files_of(references: Sequence[str]) -> list[Path]:
    """Return the files that are named, and those of the folders that are, in order."""
    files: list[Path] = []
    for each in map(Path, references):
        files += find(each).values() if each.is_dir() else [each]
    return files


def _generator(seed: int, position: int) -> torch.Generator:
    return torch.Generator().manual_seed(1_000_003 * seed + position)
