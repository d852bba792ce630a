"""What is made of masks in the style of people, and on the way from one person to another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch, TranslationData
from lit_synth.contracts.translator import ReadsPeople, TakesReferences, Translation, Translator
from lit_synth.inference.ask import read_people, translate
from lit_synth.pictures.colours import coloured
from lit_synth.pictures.sheet import Column

SHOWN = 4  # images of a person
STEPS = 5  # from one person to the next


def people_columns(
    methods: Sequence[tuple[str, Translator]], data: TranslationData, x: Batch, truth: bool
) -> list[list[Column]]:
    """Show scenes with their people, what is made of both, and what lies between two people.

    Args:
        methods: Name and method, in the mode and with the weights that it has; all make the first
            translation of the first one, which takes references.
        data: Data module that says what the modalities are.
        x: Scenes on the methods' device, with references.
        truth: Do the modalities of `x` show the same scenes?

    Returns:
        A line of masks, references, results and truth; then, of a method that reads people, one of
        results from each scene's own person to that of the next scene.
    """
    method = methods[0][1]
    (way,) = method.translations()
    assert isinstance(method, TakesReferences), "asked by those who know"
    shown = x[method.references][:, :SHOWN].unbind(1) if method.references in x else ()
    pictures = {name: data.modalities[name] for name in (*way.sources, way.target)}
    given = [
        Column("input", (name,), coloured(x[name], pictures[name], None)) for name in way.sources
    ]

    def images(mark: str, line: str, made: Tensor) -> Column:
        return Column(mark, (line,), coloured(made, pictures[way.target], None))

    first = [*given, *(images("style", f"image {k}", each) for k, each in enumerate(shown, 1))]
    first += [images(name, way.target, translate(each, x, way)) for name, each in methods]
    if truth and way.target in x:
        first.append(images("truth", way.target, x[way.target]))
    if not isinstance(method, ReadsPeople):
        return [first]
    between = [
        images("between", f"{share:.2f}", made)
        for share, made in between_people(method, x, way, torch.linspace(0, 1, STEPS).tolist())
    ]
    return [first, [*given, *between]]


def between_people(
    method: Translator, x: Batch, way: Translation, shares: Sequence[float]
) -> list[tuple[float, Tensor]]:
    """Return what is made on the way from each scene's person to the next one's, masks held."""
    assert isinstance(method, TakesReferences), "asked by those who know"
    assert isinstance(method, ReadsPeople), "asked by those who know"
    own = read_people(method, x[method.references])
    masks = {name: x[name] for name in way.sources}
    return [
        (share, translate(method, {**masks, "style": torch.lerp(own, own.roll(-1, 0), share)}, way))
        for share in shares
    ]
