"""Traits: attributes with named values, and their even spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import torch
from torch import Tensor

from datamodules.labelled.source import IMAGES, Portion, value_number


@dataclass(frozen=True)
class Trait:
    """What a label says of an attribute.

    Attributes:
        attribute: Of the source.
        groups: Label -> values, as positions, that have it; no and yes if there are two.
    """

    attribute: str
    groups: tuple[tuple[int, ...], ...]

    @classmethod
    def parse(cls, name: str, attributes: Mapping[str, Sequence[str]]) -> "Trait":
        """Return the trait called `hat`, each value a label, or `hair=blond`, no or yes."""
        attribute, _, value = name.partition("=")
        yes = value_number(attributes, attribute, value or None)
        values = range(len(attributes[attribute]))
        if not value:
            return cls(attribute, tuple((each,) for each in values))
        return cls(attribute, (tuple(each for each in values if each != yes), (yes,)))

    def labels(self, values: Tensor) -> Tensor:
        """Return the labels of values, both int64 (N,)."""
        table = torch.zeros(sum(map(len, self.groups)), dtype=torch.int64)
        for label, group in enumerate(self.groups):
            table[list(group)] = label
        return table[values]

    def flipped(self, values: Tensor) -> Tensor:
        """Return values whose label is the other one of two: yes, or the value after yes."""
        (yes,) = self.groups[1]
        after = (yes + 1) % sum(map(len, self.groups))
        return torch.where(values == yes, after, yes)


def evenly(
    attributes: Mapping[str, Sequence[str]], traits: Sequence[Trait], n: int
) -> list[Portion]:
    """Return portions of about `n` images, the same number of each combination of labels.

    Args:
        attributes: Of the source.
        traits: Whose labels; values of one label are equally frequent too.
        n: Images in all, at least one of each combination of values.
    """
    portions: list[Portion] = []
    groups = [[(len(t.groups), len(group), v) for group in t.groups for v in group] for t in traits]
    for combination in product(*groups):
        parts = prod(labels * values for labels, values, _ in combination)
        names = {
            t.attribute: attributes[t.attribute][value]
            for t, (_, _, value) in zip(traits, combination, strict=True)
        }
        portions.append({IMAGES: max(1, n // parts), **names})
    return portions
