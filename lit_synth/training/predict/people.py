"""The people in whose style `predict` translates: those of references, or the scenes' own."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from datamodules.files.decoding import Resize, Size
from datamodules.items.modalities import Modality
from lit_synth.contracts.data import Batch
from lit_synth.contracts.translator import ReadsPeople, TakesReferences, Translator
from lit_synth.errors import InputError
from lit_synth.inference.ask import read_people
from lit_synth.inference.styles import STYLE
from lit_synth.training.predict.styles import AskedStyles, endings_of, files_of, read_images


@dataclass(frozen=True)
class PeopleChoice:
    """In whose style each scene is translated.

    Attributes:
        references: Name of a person's images in what `translate` is given.
        people: Images of each person (R, C, H, W); empty: each scene comes with its own.
        names: Of the people.
        steps: How many to make on the way from the first of two people to the second; None: one
            result for each person.
    """

    references: str
    people: tuple[Tensor, ...]
    names: tuple[str, ...]
    steps: int | None

    @property
    def labels(self) -> list[str]:
        """What to call each result of a scene; one that stands alone needs no name."""
        if self.steps is not None:
            return [f"{share:.2f}" for share in torch.linspace(0, 1, self.steps).tolist()]
        return list(self.names) or [""]

    @property
    def endings(self) -> list[str]:
        """What follows the name of a scene in the names of its files."""
        return endings_of(len(self.labels), self.steps)

    def drawn(self, positions: Sequence[int]) -> Batch:  # noqa: ARG002 - nothing is drawn
        """Return nothing."""
        return {}

    def of(self, method: Translator, x: Batch) -> list[Batch]:
        """Return what `translate` is to be given for each result of scenes `x`."""
        if not self.people:
            return [x]
        like = next(iter(x.values()))
        people = [images.to(like.device)[None] for images in self.people]
        if self.steps is None:
            shape = (len(like), -1, -1, -1, -1)
            return [{**x, self.references: images.expand(shape)} for images in people]
        assert isinstance(method, ReadsPeople), "was checked"
        first, second = (read_people(method, images) for images in people)
        shares = torch.linspace(0, 1, self.steps).tolist()
        styles = [torch.lerp(first, second, share) for share in shares]
        return [{**x, STYLE: style.expand(len(like), -1)} for style in styles]


def choose_people(
    method: TakesReferences, asked: AskedStyles, modality: Modality, size: Size, resize: Resize
) -> PeopleChoice:
    """Find out whose style is asked for: each reference, a file or a folder, is a person.

    Args:
        method: Makes the translations.
        asked: What the command line says.
        modality: What the references are.
        size: Side of their pictures in pixels, or height and width.
        resize: How references of other shapes get this one.

    Raises:
        InputError: If the method cannot do that, or what is asked for does not fit together.
        DataError: If a reference cannot be read.
    """
    name, given = type(method).__name__, asked.reference or []
    if asked.styles is not None:
        raise InputError(f"--styles draws styles, and {name} reads them from --reference: say so.")
    if asked.interpolate is not None:
        if not isinstance(method, ReadsPeople):
            raise InputError(f"--interpolate needs styles, and {name} has none: leave it out.")
        if asked.interpolate < 2:
            raise InputError(f"--interpolate is {asked.interpolate}: expected at least 2.")
        if len(given) != 2:
            raise InputError(
                f"--reference names {len(given)} people and --interpolate goes from one to "
                "another: give two files or folders."
            )
    people = []
    for each in given:
        files = files_of([each])
        if not files:
            raise InputError(f"--reference {each} holds no image: give images of a person.")
        people.append(read_images(files, modality, size, resize))
    names = tuple(Path(each).stem for each in given)
    return PeopleChoice(method.references, tuple(people), names, asked.interpolate)
