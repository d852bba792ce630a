"""Files that hold one picture twice: exactly, or but for its size and compression."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from datamodules.inspection.looks import Look

Group = list[str]  # names of files that are one picture

_BITS, _BANDS = 64, 4
_DIFFERENT_BITS = _BANDS - 1  # at most: then one band of four is equal
_DIFFERENT_PIXELS = 4.0  # of 255, mean over a thumb, at most
_CROWD = 2000  # of one band: a set as uniform as that has no near copies that could be told


def exact(looks: Sequence[Look]) -> list[Group]:
    """Return the groups of files with the same bytes."""
    names: dict[str, Group] = defaultdict(list)
    for each in looks:
        if each.sha256:  # of what could be read
            names[each.sha256].append(each.name)
    return [group for group in names.values() if len(group) > 1]


def near(looks: Sequence[Look]) -> list[Group]:
    """Return the groups of files that look alike and differ in their bytes.

    Two pictures look alike if at most 3 of the 64 bits of their gradients differ, and their thumbs
    by 4 of 255 on average. Flat pictures are left out. Of each set of exact copies the first
    counts.
    """
    first: dict[str, Look] = {}
    for each in looks:
        first.setdefault(each.sha256, each)
    usable = [each for each in first.values() if each.thumb is not None and not each.flat]
    if len(usable) < 2:
        return []
    gradients = np.array([each.gradient for each in usable], dtype=np.uint64)
    thumbs = np.stack([each.thumb for each in usable if each.thumb is not None]).astype(np.int16)
    return [
        [usable[i].name for i in members]
        for members in _joined(_alike(gradients, thumbs.reshape(len(usable), -1)))
    ]


def _alike(gradients: np.ndarray, thumbs: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield pairs of positions that look alike.

    Those that differ in 3 bits have one of four bands of 16 bits in common, so only they meet.
    """
    width = np.uint64(_BITS // _BANDS)
    for band in range(_BANDS):
        values = (gradients >> (np.uint64(band) * width)) & np.uint64(2**16 - 1)
        order = np.argsort(values, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
            if 1 < len(group) <= _CROWD:
                yield from _alike_in(np.sort(group), gradients, thumbs)


def _alike_in(
    group: np.ndarray, gradients: np.ndarray, thumbs: np.ndarray
) -> Iterator[tuple[int, int]]:
    for place, one in enumerate(group[:-1]):
        others = group[place + 1 :]
        bits = np.bitwise_count(gradients[others] ^ gradients[one])
        others = others[bits <= _DIFFERENT_BITS]
        if len(others):
            apart = np.abs(thumbs[others] - thumbs[one]).mean(1)
            for other in others[apart <= _DIFFERENT_PIXELS]:
                yield int(one), int(other)


def _joined(pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return the groups that pairs make together, each sorted."""
    leader: dict[int, int] = {}

    def lead(i: int) -> int:
        while leader.setdefault(i, i) != i:
            i = leader[i]
        return i

    for one, other in pairs:
        leader[lead(other)] = lead(one)
    groups: dict[int, list[int]] = defaultdict(list)
    for i in sorted(leader):
        groups[lead(i)].append(i)
    return list(groups.values())


def across(groups: Sequence[Group], part_of: Mapping[str, str]) -> list[Group]:
    """Return the groups whose files lie in several parts, which are leaks between them."""
    return [
        group
        for group in groups
        if any(part_of.get(a) != part_of.get(b) for a, b in combinations(group, 2))
    ]
