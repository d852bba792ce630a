"""What is made of the names in public pickles: tensors, dicts, and records of everything else."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from lit_synth.releases.importers.tensors import (
    STORAGES,
    ArrayRecord,
    DtypeRecord,
    array,
    scalar,
    view,
)
from lit_synth.releases.importers.unpickling import Budget, Maker, Name, Record, RefusedError

# Classes of which name and state are kept: nothing is made of them.
RECORDS = (
    "argparse.Namespace",
    "models.utils.config.BaseConfig",
    "dnnlib.tflib.network.Network",
    "torch.device",
)
NETWORK = "torch_utils.persistence._reconstruct_persistent_obj"
DICTS = ("collections.OrderedDict", "dnnlib.util.EasyDict", "dnnlib.EasyDict")
CORE = ("core", "_core")  # numpy's before and from version 2 on
BUILTINS = ("builtins", "__builtin__")
WORDS = (  # named, never called
    "torch.float32",
    "torch.float16",
    "torch.float64",
    "torch.bfloat16",
    "torch.int64",
    "torch.nn.parameter.Parameter",
    "torch.Tensor",
    "numpy.ndarray",
    "builtins.object",
    "__builtin__.object",
    "builtins.dict",
    "__builtin__.dict",
)


def makers(budget: Budget, blob: Maker) -> Mapping[str, Maker]:
    """Return what is made of each known name, given the arguments of its call.

    Args:
        budget: Of all tensors of the file.
        blob: Reads the bytes of a storage that PyTorch has put into a pickle.
    """

    def tensor(args: tuple[Any, ...]) -> Tensor:
        storage, offset, size, stride, *_ = args
        return view(storage, offset, size, stride, budget)

    def subclass(args: tuple[Any, ...]) -> Any:
        function, _, arguments, *_ = args
        return known[_path(function)](arguments)

    def reconstructed(args: tuple[Any, ...]) -> Any:
        cls, _, state = args
        return known[_path(cls)](() if state is None else (state,))

    def an_array(args: tuple[Any, ...]) -> ArrayRecord:
        if not args or args[0] != Name("numpy.ndarray"):
            raise RefusedError("has an array of another class")
        return ArrayRecord(budget)

    def from_buffer(args: tuple[Any, ...]) -> ArrayRecord:
        data, dtype, shape, order = args
        found = ArrayRecord(budget)
        found.tensor = array(data, dtype, shape, order == "F")
        return found

    known: dict[str, Maker] = {
        **{name: partial(Record, name) for name in RECORDS},
        **dict.fromkeys(DICTS, _dict),
        **dict.fromkeys(WORDS, _uncalled),
        **{f"torch.{prefix}{kind}": _uncalled for kind in STORAGES for prefix in ("", "cuda.")},
        NETWORK: partial(Record, NETWORK),
        "torch._utils._rebuild_tensor": tensor,
        "torch._utils._rebuild_tensor_v2": tensor,
        "torch._utils._rebuild_parameter": _first_tensor,
        "torch._utils._rebuild_parameter_with_state": _first_tensor,
        "torch._tensor._rebuild_from_type_v2": subclass,
        "torch.storage._load_from_bytes": blob,
        "torch.Size": lambda args: tuple(args[0]),
        "_codecs.encode": _encoded,
        **dict.fromkeys(("copyreg._reconstructor", "copy_reg._reconstructor"), reconstructed),
        **{f"{b}.{kind}": _members for b in BUILTINS for kind in ("set", "frozenset")},
        **{f"numpy.{c}.multiarray._reconstruct": an_array for c in CORE},
        **{f"numpy.{c}.multiarray.scalar": scalar for c in CORE},
        **{f"numpy.{c}.numeric._frombuffer": from_buffer for c in CORE},
        "numpy.dtype": partial(DtypeRecord, "numpy.dtype"),
    }
    return known


def _path(name: Any) -> str:
    if not isinstance(name, Name):
        raise RefusedError(f"calls a {type(name).__name__}")
    return name.path


def _uncalled(_: tuple[Any, ...]) -> Any:
    raise RefusedError("calls what is only a type")


def _dict(args: tuple[Any, ...]) -> dict[Any, Any]:
    given = args[0] if args else {}
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not isinstance(pairs, list) or not all(
        isinstance(pair, tuple | list) and len(pair) == 2 and isinstance(pair[0], str)
        for pair in pairs
    ):
        raise TypeError("a dict that is none")
    return dict(pairs)


def _first_tensor(args: tuple[Any, ...]) -> Tensor:
    if not isinstance(args[0], Tensor):
        raise TypeError("a parameter that is none")
    return args[0]


def _members(args: tuple[Any, ...]) -> list[Any]:
    return list(args[0]) if args and isinstance(args[0], list | tuple) else []


def _encoded(args: tuple[Any, ...]) -> bytes:
    text, encoding = args
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes text")
    return text.encode("latin-1")
