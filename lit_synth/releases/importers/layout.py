"""A public layout: which of its tensors is which of ours, in both directions."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.networks.parts.rebuilding import WithoutRandomStart
from lit_synth.releases.importers.states import StateDict
from lit_synth.releases.importers.unpickling import shown

LISTED = 8  # keys that a message names


class Form(NamedTuple):
    """How a public tensor becomes one of ours, and back, bit for bit."""

    to_own: Callable[[Tensor], Tensor]
    to_public: Callable[[Tensor], Tensor]


SAME = Form(lambda t: t, lambda t: t)
TRANSPOSED = Form(lambda t: t.T, lambda t: t.T)


def reshaped(public: Sequence[int], own: Sequence[int]) -> Form:
    """Return the form of tensors that differ in their shape alone."""
    return Form(lambda t: t.reshape(tuple(own)), lambda t: t.reshape(tuple(public)))


class Pair(NamedTuple):
    """A public tensor and ours.

    Attributes:
        public: Key in the file.
        own: Key in the release, `<network>.<tensor>`.
        form: How one becomes the other.
        default: Taken where a file lacks the tensor; None: no file may lack it.
    """

    public: str
    own: str
    form: Form = SAME
    default: Tensor | None = None


@dataclass
class Part:
    """One state dict of a file and the networks of ours that it is.

    Attributes:
        networks: Name in the release -> class and constructor arguments.
        pairs: What is what.
        constants: Key -> tensor that every file of the layout has alike.
        inert: Key -> tensor of which no image depends; a file may lack it. It is kept beside the
            release, so that the file can be had back; None is not written without that.
    """

    networks: dict[str, tuple[type[nn.Module], dict[str, Any]]]
    pairs: list[Pair]
    constants: dict[str, Tensor] = field(default_factory=dict)
    inert: dict[str, Tensor | None] = field(default_factory=dict)


# Name in a release, class, and what makes a part of constructor arguments.
Maker = tuple[str, type[nn.Module], Callable[[dict[str, Any]], Part]]


@dataclass(frozen=True)
class Options:
    """What files do not tell.

    Attributes:
        key: Path of the state dict to take, of several that would do.
        clamp: Bound of a StyleGAN2's features; None: as the file says.
        mbstd_group: Images that a StyleGAN2's discriminator compares; None: as the file says.
    """

    key: str | None = None
    clamp: float | None = None
    mbstd_group: int | None = None


@dataclass
class Found:
    """What a file was recognised as.

    Attributes:
        parts: Path of a state dict in the file -> what it is.
        notes: Sentences for the report.
        tensors: Path -> tensors, where they are not those of the file under its keys.
        method: What builds a method of the networks, if one of ours is whole with them.
        estimate_w: Has the mean of w to be found anew, as the file lacks it?
    """

    parts: dict[str, Part]
    notes: list[str] = field(default_factory=list)
    tensors: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    method: dict[str, Any] | None = None
    estimate_w: bool = False


@dataclass(frozen=True)
class Layout:
    """A layout of public files.

    Attributes:
        name: Its name on the command line.
        title: What it is, for people.
        read: State dicts of a file -> what they are, None if they are not of this layout.
        write: Networks of a release -> path in the file -> part; None for another family.
        kind: `source` of image generators, or `translator`.
        writes: Can it be written?
        folder: Is it a folder of a file for each network?
    """

    name: str
    title: str
    read: Callable[[list[StateDict], Options], Found | None]
    write: Callable[[Mapping[str, nn.Module]], dict[str, Part] | None]
    kind: str = "source"
    writes: bool = True
    folder: bool = False


def to_own(part: Part, tensors: Mapping[str, Tensor], where: str) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of a state dict as those of our networks, network -> state dict.

    Raises:
        InputError: Keys are missing or left over, shapes do not fit, or a constant differs.
    """
    expected = {pair.public for pair in part.pairs} | part.constants.keys()
    optional = {pair.public for pair in part.pairs if pair.default is not None}
    missing = sorted(expected - tensors.keys() - optional)
    left = sorted(tensors.keys() - expected - part.inert.keys())
    if missing or left:
        raise InputError(
            f"{where} does not fit: {listed(missing)} missing, {listed(left)} left over; expected "
            "the files of this layout as its authors' code writes them."
        )
    for key, constant in part.constants.items():
        if tensors[key].shape != constant.shape or not _equal(tensors[key], constant):
            raise InputError(
                f"{where}: '{key}' differs from what every known network has there, so that "
                "images would be wrong: this variant cannot be imported."
            )
    own: dict[str, dict[str, Tensor]] = {name: {} for name in part.networks}
    for pair in part.pairs:
        name, _, key = pair.own.partition(".")
        given = tensors.get(pair.public, pair.default)
        assert given is not None, "missing keys are refused above"
        own[name][key] = _converted(pair, given, where)
    for name, (cls, init_args) in part.networks.items():
        _check_shapes(cls, init_args, own[name], where)
    return own


def to_public(part: Part, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our tensors, keyed `<network>.<tensor>`, as those of the layout, without the inert."""
    made = {p.public: p.form.to_public(own[p.own]).detach().contiguous() for p in part.pairs}
    return made | part.constants


def listed(keys: Sequence[str]) -> str:
    """Return how many keys there are, and the first of them."""
    first = ", ".join(shown(key) for key in keys[:LISTED])
    more = f" and {len(keys) - LISTED} more" if len(keys) > LISTED else ""
    return f"{len(keys)} ({first}{more})" if keys else "none"


def _converted(pair: Pair, tensor: Tensor, where: str) -> Tensor:
    try:
        made = pair.form.to_own(tensor)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            f"{where}: '{pair.public}' has the shape {tuple(tensor.shape)}, which no network of "
            "this layout has there."
        ) from error
    made = made.float() if made.is_floating_point() else made
    if made.device.type != "meta" and not torch.isfinite(made).all():
        raise InputError(f"{where}: '{pair.public}' has values that are not finite.")
    return made


def _check_shapes(
    cls: type[nn.Module], init_args: dict[str, Any], own: Mapping[str, Tensor], where: str
) -> None:
    try:
        with torch.device("meta"), WithoutRandomStart():
            built = cls(**init_args).state_dict()
    except InputError:
        raise
    except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{where} has tensors of such sizes that no {cls.__name__} can be built of them."
        ) from error
    shapes = {key: tuple(tensor.shape) for key, tensor in built.items()}
    wrong = [
        f"{key} {tuple(own[key].shape) if key in own else 'missing'} instead of {shape}"
        for key, shape in shapes.items()
        if key not in own or tuple(own[key].shape) != shape
    ]
    wrong += [f"{key} left over" for key in own if key not in shapes]
    if wrong:
        raise InputError(f"{where} does not fit {cls.__name__}: {listed(wrong)} are wrong.")


def plain(value: Any) -> Any:
    """Return a stored setting if it is a plain value or a short list of such, else its type's name.

    A file may nest lists in lists so that to compare or show them takes forever.
    """
    if isinstance(value, list | tuple) and len(value) <= LISTED:
        return [each if isinstance(each, int | float | str) else None for each in value]
    fits = value is None or isinstance(value, int | float | str)
    return value if fits else type(value).__name__


def positive(value: Any, default: int) -> int:
    """Return a stored number if it is a positive whole one of a sensible size."""
    return value if type(value) is int and 0 < value < 2**31 else default


def _equal(tensor: Tensor, constant: Tensor) -> bool:
    return tensor.device.type == "meta" or torch.equal(tensor.to(constant.dtype), constant)


def numbers(keys: Iterable[str], before: str, after: str = "") -> list[int]:
    """Return the numbers n, sorted, for which a key `<before>n<after>...` exists."""
    found = set()
    for key in keys:
        word = key.removeprefix(before).partition(after or ".")[0]
        if key.startswith(before) and word.isdecimal() and len(word) < 5:
            found.add(int(word))
    return sorted(found)


AVERAGED = ("ema", "avg", "average")


def chosen(states: list[StateDict], key: str | None) -> StateDict | None:
    """Return the state dict to take of several that would do: averaged weights come first.

    Raises:
        InputError: Several are left, or the one that is asked for is not among them.
    """
    if key is not None:
        named = [state for state in states if state.path == key]
        if states and not named:
            raise InputError(
                f"--key is {key}, but the networks of this kind are at "
                f"{', '.join(repr(state.path) for state in states)}."
            )
        states = named
    averaged = [s for s in states if any(word in s.path.lower() for word in AVERAGED)]
    averaged = averaged or [s for s in states if s.path == "Gs"]  # TensorFlow's
    states = averaged or states
    if len(states) > 1:
        raise InputError(
            "there are several networks of this kind, at "
            f"{', '.join(repr(state.path) for state in states)}: choose one with --key."
        )
    return states[0] if states else None


def recognised(
    keys: Iterable[str], states: list[StateDict], options: Options
) -> Iterator[tuple[str, StateDict]]:
    """Give each key that marks a kind of network, with the state dict that has it, where one has.

    `options.key` chooses among several of one kind.
    """
    for key in keys:
        mine = [state for state in states if state.shape(key)]
        state = chosen(mine, options.key if len(mine) > 1 else None)
        if state is not None:
            yield key, state


def parts_of(networks: Mapping[str, nn.Module], makers: Mapping[str, Maker]) -> dict[str, Part]:
    """Return the parts of a file for the networks of a release that have a maker, by its paths.

    A network that stands alone is at the path "": its state dict is the file.
    """
    parts = {
        path: make(vars(networks[name])["init_args"])
        for path, (name, cls, make) in makers.items()
        if isinstance(networks.get(name), cls)
    }
    return {"": next(iter(parts.values()))} if len(parts) == 1 else parts
