"""Many translations of each input: a column for each style, and for where it may change."""

from collections.abc import Sequence

from lit_synth.contracts.data import Batch, TranslationData
from lit_synth.contracts.translator import HasAttention, HasStyles, Translation, Translator
from lit_synth.inference.ask import attention, translate
from lit_synth.inference.styles import beside, fixed_styles
from lit_synth.pictures.colours import Limits, coloured, depth_limits, heated
from lit_synth.pictures.sheet import MOST_COLUMNS, Column
from lit_synth.pictures.translations import words

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
            for column in _columns(name, method, data, x, translation, n_styles, seed, limits)
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
) -> list[Column]:
    """Return what one method makes, in each style, and its attention for the first of them."""
    n = len(x[translation.sources[0]])
    each: list[tuple[tuple[str, ...], Batch]] = [((), x)]
    if isinstance(method, HasStyles):
        styles = fixed_styles(n_styles, method.style_dim, seed)
        styles = beside(styles, x[translation.sources[0]])
        each = [
            ((f"style {k}",), {**x, "style": style.expand(n, -1)})
            for k, style in enumerate(styles, start=1)
        ]
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
