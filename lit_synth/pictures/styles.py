"""Many translations of each input: a column for each style, and for where it may change."""

from collections.abc import Sequence

from lit_synth.contracts.data import Batch, TranslationData
from lit_synth.contracts.translator import (
    HasAttention,
    HasStyles,
    MakesStyles,
    ReadsStyles,
    Translation,
    Translator,
)
from lit_synth.inference.ask import attention, read_styles, translate
from lit_synth.inference.styles import beside, fixed_styles, styles_of
from lit_synth.pictures.colours import Limits, coloured, depth_limits, heated
from lit_synth.pictures.sheet import MOST_COLUMNS, Column
from lit_synth.pictures.translations import words

INDEPENDENT = 2  # columns of styles whose coordinates are independent

Named = Sequence[tuple[str, Translator]]


def style_columns(
    methods: Named,
    data: TranslationData,
    x: Batch,
    n_styles: int,
    seed: int,
    truth: bool = False,
) -> list[list[Column]]:
    """Translate scenes in several styles, by several methods.

    Every method gets the same styles, which are the same for all scenes. A line starts with what is
    given, and shows the translations of it that fit beside each other; those that do not begin a
    line of their own, with what is given in front again.

    Args:
        methods: Name and method, in the mode and with the weights that it has; the translations of
            the first are shown, of the others where they make them too.
        data: Data module that says what the modalities are.
        x: Scenes on the methods' device.
        n_styles: Columns of a method that has styles; the others have one.
        seed: Seeds the styles.
        truth: Do the modalities of `x` show the same scenes?

    Returns:
        The lines.
    """
    limits = depth_limits(x, data.modalities)
    by_source: dict[tuple[str, ...], list[list[Column]]] = {}
    for translation in methods[0][1].translations():
        block = [
            column
            for name, method in methods
            if translation in method.translations()
            for column in _columns(
                name, method, data, x, translation, n_styles, seed, limits, truth
            )
        ]
        target = translation.target
        if truth and target in x and target in data.modalities:
            pictures = coloured(x[target], data.modalities[target], limits)
            block.insert(0, Column("truth", (target,), pictures))
        by_source.setdefault(translation.sources, []).append(block)
    lines = []
    for sources, blocks in by_source.items():
        given = [
            Column("input", (name,), coloured(x[name], data.modalities[name], limits))
            for name in sources
        ]
        lines += _lines(given, blocks)
    return lines


def _columns(
    name: str,
    method: Translator,
    data: TranslationData,
    x: Batch,
    translation: Translation,
    n_styles: int,
    seed: int,
    limits: Limits | None,
    truth: bool,
) -> list[Column]:
    """Return what one method makes, in each style, and its attention for the first of them.

    Of pairs, in the true style first. Beside what a method makes of noise stands
    what independent coordinates would make of the first of it.
    """
    given, target = x[translation.sources[0]], translation.target
    each: list[tuple[tuple[str, ...], Batch]] = [((), x)]
    if isinstance(method, HasStyles):
        noise = fixed_styles(n_styles, method.style_dim, seed)
        named = {f"style {k}": s for k, s in enumerate(styles_of(method, noise), 1)}
        if isinstance(method, MakesStyles):
            independent = method.independent_styles_of(noise[:INDEPENDENT])
            named |= {f"N(mean, sd) {k}": s for k, s in enumerate(independent, 1)}
        styles = {name: beside(s.expand(len(given), -1), given) for name, s in named.items()}
        paired = data.seen(translation.sources[0], target)
        if truth and paired and target in x and isinstance(method, ReadsStyles):
            styles = {"own style": read_styles(method, x[target], target), **styles}
        each = [((name,), {**x, "style": style}) for name, style in styles.items()]
    said, modality = words(translation), data.modalities[translation.target]
    shown = [
        Column(
            name, (*said, *style), coloured(translate(method, given, translation), modality, limits)
        )
        for style, given in each
    ]
    if isinstance(method, HasAttention):
        source = translation.sources[0]
        pictures = coloured(x[source], data.modalities[source], limits)
        share = attention(method, each[0][1], translation)
        shown.append(Column(name, (*said, "where it may change"), heated(pictures, share)))
    return shown


def _lines(given: list[Column], blocks: list[list[Column]]) -> list[list[Column]]:
    """Put blocks beside each other behind what is given: as many as fit, equally many a line."""
    room, widest = MOST_COLUMNS - len(given), max(len(block) for block in blocks)
    most = max(1, room // widest)
    each = max(k for k in range(1, most + 1) if len(blocks) % k == 0)
    parts = [blocks[first : first + each] for first in range(0, len(blocks), each)]
    return [given + [column for block in part for column in block] for part in parts]
