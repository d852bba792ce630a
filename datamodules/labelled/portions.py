"""Portions of domains: what a dial makes of them, what others lack, what was drawn."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datamodules.errors import DataError
from datamodules.items.splits import Batch
from datamodules.labelled.source import IMAGES, Portion, count, value_number

Attributes = Mapping[str, Sequence[str]]
Mixes = dict[str, list[Portion]]  # domain or part -> what it consists of


@dataclass(frozen=True)
class Dial:
    """How biased one domain is.

    Attributes:
        domain: Whose portions are replaced by as many images.
        attribute: What is turned; the portions agree in all others.
        value: One of its values.
        share: Of the images that have this value, from 0 to 1; the others have the attribute's
            other values equally often.
    """

    domain: str
    attribute: str
    value: str
    share: float


def turned(attributes: Attributes, domains: Mixes, wanted: str, dial: Dial) -> Mixes:
    """Return the domains with the portions of one replaced as a dial says."""
    check_domain("dial", dial.domain, domains)
    value_number(attributes, dial.attribute, dial.value)
    if dial.attribute == wanted:
        raise DataError(f"The dial turns {wanted}, which is wanted; turn another attribute.")
    if not 0 <= dial.share <= 1:
        raise DataError(f"The share of the dial is {dial.share}; give 0 to 1.")
    portions = domains[dial.domain]
    rest = [_without(portion, dial.attribute) for portion in portions]
    if any(other != rest[0] for other in rest):
        raise DataError(
            f"The portions of {dial.domain} differ in more than {dial.attribute}, so that a dial "
            "cannot replace them; give them the same other attributes."
        )
    values = attributes[dial.attribute]
    each = (1 - dial.share) / max(1, len(values) - 1)
    shares = [dial.share if value == dial.value else each for value in values]
    total = sum(count(dial.domain, portion) for portion in portions)
    mixed: list[Portion] = [
        {IMAGES: n, **rest[0], dial.attribute: value}
        for value, n in zip(values, apportion(shares, total), strict=True)
        if n
    ]
    return {**domains, dial.domain: mixed}


def rare_elsewhere(attributes: Attributes, judged: Sequence[str], domains: Mixes) -> Mixes:
    """Return for each domain the portion of what the others lack; see `Biased`.

    Args:
        attributes: Of the source.
        judged: The wanted attribute, and the unwanted ones.
        domains: Domain -> portions.
    """
    wanted, *unwanted = judged
    rare: Mixes = {}
    for name, portions in domains.items():
        chosen: dict[str, str | int] = {IMAGES: 1, wanted: portions[0][wanted]}
        others = [each for other in domains if other != name for each in domains[other]]
        for attribute in unwanted:
            if any(attribute in portion for portion in [*portions, *others]):
                own, elsewhere = (
                    _images_of(attributes[attribute], attribute, each)
                    for each in (portions, others)
                )
                chosen[attribute] = min((v for v in own if own[v]), key=elsewhere.__getitem__)
        rare[name] = [chosen]
    return rare


def scaled(portions: Sequence[Portion], n: int) -> list[Portion]:
    """Return portions in the same proportions with `n` images in all."""
    counts = apportion([count("held_out", portion) for portion in portions], n)
    return [{**each, IMAGES: k} for each, k in zip(portions, counts, strict=True) if k]


def apportion(shares: Sequence[float], n: int) -> list[int]:
    """Return whole numbers of sum `n` in proportion to shares, by largest remainders."""
    exact = [n * share / sum(shares) for share in shares]
    counts = [int(number) for number in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for i in by_remainder[: n - sum(counts)]:
        counts[i] += 1
    return counts


def mix(attributes: Attributes, names: Sequence[str], fields: Batch) -> list[Portion]:
    """Return as portions how many images have which values of the attributes `names`."""
    drawn = Counter(zip(*(fields[name].tolist() for name in names), strict=True))
    return [
        {IMAGES: n, **{name: attributes[name][v] for name, v in zip(names, row, strict=True)}}
        for row, n in sorted(drawn.items())
    ]


def _images_of(
    values: Sequence[str], attribute: str, portions: Sequence[Portion]
) -> dict[str, float]:
    """Return how many images have which value, portions without the attribute spread evenly."""
    images = dict.fromkeys(values, 0.0)
    for portion in portions:
        some = [str(portion[attribute])] if attribute in portion else values
        for value in some:
            images[value] += int(portion[IMAGES]) / len(some)
    return images


def check_domain(what: str, name: str, domains: Mapping[str, object]) -> None:
    """Raise DataError if there is no domain of this name."""
    if name not in domains:
        raise DataError(
            f"{what} names {name!r}, which is no domain; there are {', '.join(domains)}."
        )


def _without(portion: Portion, attribute: str) -> Portion:
    return {name: value for name, value in portion.items() if name not in (IMAGES, attribute)}
