"""Translations side by side: a row for each scene, a named column for each modality made."""

from collections.abc import Sequence

from torch import Tensor

from lit_synth.contracts.data import Batch, TranslationData, standing
from lit_synth.contracts.translator import Translation, Translator
from lit_synth.inference.ask import translate
from lit_synth.pictures.colours import coloured, depth_limits
from lit_synth.pictures.sheet import Column, sheet


def columns(
    method: Translator,
    data: TranslationData,
    x: Batch,
    translations: Sequence[Translation],
    truth: bool = True,
) -> list[list[Column]]:
    """Translate scenes, and return what was given, what was made, and what is true.

    Columns that must not be parted form a group.

    Args:
        method: Translates, in the mode and with the weights that it has.
        data: Data module that says what the modalities are, and which pairs were seen.
        x: Scenes on the method's device; a modality that no translation needs may lack.
        translations: Translations to show; those seen come first.
        truth: Do the modalities of `x` show the same scenes? If not, each translation stands beside
            what it was made from.
    """
    limits = depth_limits(x, data.modalities)
    painted = {
        name: coloured(x[name], modality, limits)
        for name, modality in data.modalities.items()
        if name in x
    }
    made = {
        way: Column(
            standing(data, way),
            words(way),
            coloured(translate(method, x, way), data.modalities[way.target], limits),
        )
        for way in translations
    }
    if not truth:
        return [
            [*(Column("input", (s,), painted[s]) for s in way.sources), result]
            for way, result in made.items()
        ]
    given = {source for way in translations for source in way.sources}
    targets = {way.target for way in translations}
    shown = [
        *(Column("input", (name,), colours) for name, colours in painted.items() if name in given),
        *sorted(made.values(), key=lambda column: column.mark != "seen"),
        *(
            Column("truth", (name,), colours)
            for name, colours in painted.items()
            if name in targets
        ),
    ]
    return [[column] for column in shown]


def truths(data: TranslationData, x: Batch) -> list[list[Column]]:
    """Return the modalities of scenes alone."""
    limits = depth_limits(x, data.modalities)
    return [
        [Column("truth", (name,), coloured(x[name], each, limits))]
        for name, each in data.modalities.items()
        if name in x
    ]


def preview(
    data: TranslationData,
    x: Batch,
    made: Tensor,
    translation: Translation,
    labels: Sequence[str] = ("",),
    most: int = 8,
) -> Tensor:
    """Return the first scenes that were translated as one picture: given, made and, if known, true.

    Args:
        data: Data module that says what the modalities are, and which pairs were seen.
        x: The sources and perhaps the target, modality -> data.
        made: Results, (N, S, ...): S of each scene.
        translation: The translation that was asked for.
        labels: Labels of the S results.
        most: Scenes to show.
    """
    target = translation.target
    first = {name: x[name][:most] for name in data.modalities if name in x}
    limits, modality = depth_limits(first, data.modalities), data.modalities[target]
    mark, said = standing(data, translation), words(translation)
    shown = {column.lines[0]: column for (column,) in truths(data, first)}
    return sheet(
        [
            *([shown[name]._replace(mark="input")] for name in translation.sources),
            *(
                [Column(mark, (*said, label) if label else said, coloured(each, modality, limits))]
                for label, each in zip(labels, made[:most].unbind(1), strict=True)
            ),
            *([column] for name, column in shown.items() if name == target),
        ]
    )


def words(translation: Translation) -> tuple[str, ...]:
    """Return the lines of a heading that say what is translated."""
    return "+".join(translation.sources), *(f"to {name}" for name in translation.route)
