"""State dicts within what a file holds: dicts of tensors, and the modules that records describe."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from lit_synth.releases.importers.makers import NETWORK
from lit_synth.releases.importers.tensors import as_tensor
from lit_synth.releases.importers.unpickling import Record, RefusedError, shown

DEPTH = 3  # of dicts within dicts that files of weights have
MAX_MODULES = 5000
PARALLEL = "module."  # before every key of what DataParallel held
TF_NETWORK = "dnnlib.tflib.network.Network"


@dataclass
class StateDict:
    """The tensors of one network in a file.

    Attributes:
        path: Keys that lead to it, joined by dots; empty for the file itself.
        tensors: Key -> tensor, without a common `module.`.
        settings: What is stored of how it was built.
        beside: What the file has next to it.
        kind: Class of the network, where the file says it.
        record: Name of the record that it was found in, empty for a dict of tensors.
    """

    path: str
    tensors: dict[str, Tensor]
    settings: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    kind: str = ""
    record: str = ""

    def shape(self, key: str) -> tuple[int, ...]:
        """Return the shape of a tensor, () if there is none."""
        return tuple(self.tensors[key].shape) if key in self.tensors else ()


def states_of(content: Any, path: str = "") -> list[StateDict]:
    """Return all state dicts of what a file holds, their paths beginning with `path`."""
    return list(_found(content, path, {}, DEPTH, set()))


def _found(
    content: Any, path: str, beside: Mapping[str, Any], depth: int, seen: set[int]
) -> Iterator[StateDict]:
    if id(content) in seen:  # a file may refer to one object from many places
        return
    seen.add(id(content))
    if isinstance(content, Record):
        state = _of_record(content, path)
        if state is not None:
            state.beside = dict(beside)
            yield state
        return
    if isinstance(content, tuple | list):
        content = _named(content)
        seen.add(id(content))
    if not isinstance(content, dict) or depth < 0:
        return
    words = {key: value for key, value in content.items() if isinstance(key, str)}
    tensors = {key: t for key, value in words.items() if (t := as_tensor(value)) is not None}
    if tensors:
        yield StateDict(path, _without_prefix(tensors), beside=dict(beside))
    for key, value in words.items():
        if isinstance(value, dict | tuple | list | Record):
            place = f"{path}.{shown(key)}".lstrip(".")
            yield from _found(value, place, words, depth - 1, seen)


def _named(content: tuple[Any, ...] | list[Any]) -> dict[str, Any]:
    """Return the first parts of a sequence by name; TensorFlow's pickles hold G, D and Gs."""
    of_tensorflow = all(isinstance(p, Record) and p.name == TF_NETWORK for p in content[:3])
    names = ("G", "D", "Gs") if of_tensorflow and len(content) == 3 else range(8)
    return {str(name): part for name, part in zip(names, content, strict=False)}


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    if all(key.startswith(PARALLEL) for key in tensors):
        return {key.removeprefix(PARALLEL): tensor for key, tensor in tensors.items()}
    return tensors


def _of_record(record: Record, path: str) -> StateDict | None:
    if record.name == NETWORK:
        meta = _dict(record.args[0] if record.args else None)
        state = _dict(meta.get("state"))
        tensors: dict[str, Tensor] = {}
        _flatten(record, "", tensors, [MAX_MODULES])
        kind = _word(meta.get("class_name"))
        return StateDict(path, tensors, _dict(state.get("_init_kwargs")), kind=kind, record=NETWORK)
    if record.name == TF_NETWORK:
        state = _dict(record.state)
        settings = _dict(state.get("static_kwargs"))
        kind = _word(state.get("build_func_name"))
        tensors = _variables(state, "", [MAX_MODULES])
        return StateDict(path, tensors, settings, kind=kind, record=TF_NETWORK)
    return None


def _word(value: Any) -> str:
    return shown(value) if isinstance(value, str) else ""


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _flatten(record: Any, prefix: str, tensors: dict[str, Tensor], left: list[int]) -> None:
    """Add parameters and kept buffers of a module, and of those in it, as state_dict has them."""
    left[0] -= 1
    if left[0] < 0 or prefix.count(".") > 16:
        raise RefusedError(f"has more than {MAX_MODULES} modules within modules")
    if not isinstance(record, Record) or record.name != NETWORK:
        return
    state = _dict(_dict(record.args[0] if record.args else None).get("state"))
    left_out = state.get("_non_persistent_buffers_set") or []
    for kind in ("_parameters", "_buffers"):
        for key, value in _dict(state.get(kind)).items():
            tensor = as_tensor(value)
            if tensor is not None and not (kind == "_buffers" and key in left_out):
                tensors[f"{prefix}{key}"] = tensor
    for key, module in _dict(state.get("_modules")).items():
        _flatten(module, f"{prefix}{key}.", tensors, left)


def _variables(state: dict[str, Any], prefix: str, left: list[int]) -> dict[str, Tensor]:
    """Return the variables of a TensorFlow network, and of its components, by name."""
    left[0] -= 1
    if left[0] < 0:
        raise RefusedError(f"has more than {MAX_MODULES} networks within networks")
    found = {}
    listed = state.get("variables")
    for pair in listed if isinstance(listed, list | tuple) else []:
        if isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str):
            tensor = as_tensor(pair[1])
            if tensor is not None:
                found[f"{prefix}{pair[0]}"] = tensor
    for name, component in _dict(state.get("components")).items():
        if isinstance(component, Record) and prefix.count("/") < 4:
            found |= _variables(_dict(component.state), f"{prefix}{name}/", left)
    return found
