"""What a translator makes of inputs in several styles, and of what it has made."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lit_synth.batches.labels import ATTRIBUTES
from lit_synth.contracts.data import Batch
from lit_synth.contracts.translator import HasAttention, ReadsStyles, Translation, Translator
from lit_synth.inference.ask import attention, read_styles, translate
from lit_synth.inference.styles import STYLE, beside


class Styled:
    """Some inputs of a direct translation between images, each in the same styles.

    Where one translation of each input is enough, input k has style k modulo S.

    Args:
        method: Translates, in the mode and with the weights that it has.
        x: The inputs, images on the method's device.
        translation: What becomes of them; if they have `attributes`, it flips one.
        names: Of all modalities; besides the source they are the attributes, in their order.
        styles: (S, style_dim); None: the method has none, and S is 1.
        first: Position of the first of the inputs.
    """

    def __init__(
        self,
        method: Translator,
        x: Batch,
        translation: Translation,
        names: Sequence[str],
        styles: Tensor | None = None,
        first: int = 0,
    ) -> None:
        (self.source,), self.target = translation.sources, translation.target
        self.method, self.translation, self.given = method, translation, x[self.source]
        self.labels = x[ATTRIBUTES].to(self.given) if ATTRIBUTES in x else None
        self.attributes = [name for name in names if name != self.source]
        self.styles = None if styles is None else beside(styles, self.given)
        self.n_styles = 1 if styles is None else len(styles)
        self._choice = torch.arange(first, first + len(self.given)) % self.n_styles

    def made(self) -> Tensor:
        """Return the translations (N, S, C, H, W)."""
        repeat = self.n_styles
        given = self.given.repeat_interleave(repeat, 0)
        labels = None if self.labels is None else self.labels.repeat_interleave(repeat, 0)
        style = None if self.styles is None else self.styles.repeat(len(self.given), 1)
        x = self._asking(self.source, given, style, labels)
        made = translate(self.method, x, self.translation)
        return made.reshape(len(self.given), self.n_styles, *made.shape[1:])

    def attention(self) -> Tensor | None:
        """Return where inputs may change, (N, 1, H, W) in [0, 1], if the method decides it."""
        if not isinstance(self.method, HasAttention):
            return None
        x = self._asking(self.source, self.given, self._one_style(), self.labels)
        return attention(self.method, x, self.translation)

    def back(self, made: Tensor) -> Tensor | None:
        """Return the inputs (N, C, H, W) as made of their translations, if the method can.

        In the inputs' own styles if the method reads styles, else in those of the way there.
        """
        chosen = made[torch.arange(len(made)), self._choice]
        if self.labels is not None:
            x = self._asking(self.source, chosen, self._one_style(), self._flipped())
            return translate(self.method, x, self.translation)
        way = Translation((self.target,), (self.source,))
        if way not in self.method.translations():
            return None
        return translate(self.method, self._asking(self.target, chosen, self._own_style()), way)

    def stay(self) -> Tensor | None:
        """Return the inputs (N, C, H, W) as translated to what they are, if the method can.

        In their own styles if the method reads styles.
        """
        if self.labels is not None:
            x = self._asking(self.source, self.given, self._one_style(), self._flipped())
            return translate(self.method, x, self.translation)
        x = self._asking(self.source, self.given, self._own_style())
        try:
            return translate(self.method, x, Translation((self.source,), (self.source,)))
        except (LookupError, ValueError):  # it knows no such translation
            return None

    def _one_style(self) -> Tensor | None:
        return None if self.styles is None else self.styles[self._choice]

    def _own_style(self) -> Tensor | None:
        if isinstance(self.method, ReadsStyles):
            return read_styles(self.method, self.given, self.source)
        return self._one_style()

    def _flipped(self) -> Tensor:
        """Return the labels (N, K) that the translation leads to."""
        assert self.labels is not None, "asked by those who know"
        labels, column = self.labels.clone(), self.attributes.index(self.target)
        labels[:, column] = 1 - labels[:, column]
        return labels

    @staticmethod
    def _asking(
        source: str, images: Tensor, style: Tensor | None, labels: Tensor | None = None
    ) -> Batch:
        found = {source: images, STYLE: style, ATTRIBUTES: labels}
        return {name: each for name, each in found.items() if each is not None}
