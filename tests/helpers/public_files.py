"""Files of weights in public layouts, written by stubs named as their authors' classes are."""

import collections
import contextlib
import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lit_synth.releases.importers.layout import Options, to_own, to_public
from lit_synth.releases.importers.states import StateDict

BUFFERS = ("resample_filter", "noise_const", "w_avg")
CHECKPOINTS = Path(__file__).parent.parent / "data" / "checkpoints"


def manifest(name):
    """Key -> shape of a public file."""
    return json.loads((CHECKPOINTS / f"{name}.json").read_text())


def written(layout, networks):
    """Return the state dicts of a file, by their paths."""
    own = {f"{n}.{k}": t for n, net in networks.items() for k, t in net.state_dict().items()}
    parts = layout.write(networks)
    return {
        path: to_public(part, own) | {key: t for key, t in part.inert.items() if t is not None}
        for path, part in parts.items()
    }


def read_again(layout, networks):
    """Read what is written of networks, check it, and return what it was recognised as."""
    states = [StateDict(path, tensors) for path, tensors in written(layout, networks).items()]
    found = layout.read(states, Options())
    for state in states:
        for name, tensors in to_own(found.parts[state.path], state.tensors, "file").items():
            cls, init_args = found.parts[state.path].networks[name]
            built = cls(**init_args)
            built.load_state_dict(tensors)
            expected = networks[name].state_dict()
            for key, tensor in built.state_dict().items():
                assert torch.equal(tensor, expected[key]), key
    return found


def shapes(state):
    return {key: list(tensor.shape) for key, tensor in state.items()}


def filled(network, seed=0):
    """Give every tensor of a network random numbers; variances stay positive."""
    rng = torch.Generator().manual_seed(seed)
    for key, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn(tensor.shape, generator=rng))
            if key.endswith(("running_var", "stored_var")):
                tensor.abs_().add_(0.5)
    return network


@contextlib.contextmanager
def modules(**named):
    """Put modules of these members under dotted names (`a__b` is a.b) while files are written."""
    before = dict(sys.modules)
    for name, members in named.items():
        module = types.ModuleType(name.replace("__", "."))
        for key, member in members.items():
            member.__module__, member.__qualname__ = module.__name__, key
            setattr(module, key, member)
        parts = module.__name__.split(".")
        for i in range(1, len(parts)):
            sys.modules.setdefault(".".join(parts[:i]), types.ModuleType(".".join(parts[:i])))
        sys.modules[module.__name__] = module
    try:
        yield
    finally:
        for name in set(sys.modules) - set(before):
            del sys.modules[name]


class EasyDict(dict):
    pass


def _reconstruct_persistent_obj(meta):
    raise AssertionError(f"files are read without calling this: {meta}")


class Persistent:
    """What NVIDIA's decorator makes of a module: its source and its state."""

    def __init__(self, name, state, source):
        self.name, self.state, self.source = name, state, source

    def __reduce__(self):
        meta = {"type": "class", "version": 6, "module_src": self.source}
        meta |= {"class_name": self.name, "state": self.state}
        return _reconstruct_persistent_obj, (EasyDict(meta),)


def persistent(name, tensors, settings, source="raise SystemExit"):
    """A persistent module of a state dict; keys say which modules are in it."""
    parameters, buffers = collections.OrderedDict(), collections.OrderedDict()
    inner = collections.OrderedDict()
    for key, tensor in tensors.items():
        first, _, rest = key.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = tensor
        elif first in BUFFERS or not tensor.is_floating_point():
            buffers[first] = tensor
        else:
            parameters[first] = nn.Parameter(tensor)
    parameters["none"] = None
    made = {key: persistent("Layer", each, {}) for key, each in inner.items()}
    state = {"training": False, "_parameters": parameters, "_buffers": buffers}
    state |= {"_modules": collections.OrderedDict(made), "_init_kwargs": EasyDict(settings)}
    return Persistent(name, {**state, "_non_persistent_buffers_set": set()}, source)


def write_nvidia(path, networks, protocol=None):
    """Write a .pkl of {name: persistent module or None}."""
    names = {
        "torch_utils__persistence": {"_reconstruct_persistent_obj": _reconstruct_persistent_obj}
    }
    with modules(dnnlib__util={"EasyDict": EasyDict}, **names):
        content = {**networks, "augment_pipe": None, "training_set_kwargs": EasyDict(path="x")}
        path.write_bytes(pickle.dumps(content, protocol))


class Network:
    """What TensorFlow's networks pickle as."""

    def __init__(self, name, variables, settings, components=()):
        self.state = {"version": 4, "name": name, "static_kwargs": settings}
        self.state |= {"components": dict(components), "build_module_src": "raise SystemExit"}
        self.state |= {"build_func_name": name, "variables": list(variables.items())}

    def __getstate__(self):
        return self.state


def network(name, variables, settings):
    """A TensorFlow network; what is before the first / of a variable names its component."""
    own, parts = {}, {}
    for key, tensor in variables.items():
        first, _, rest = key.partition("/")
        value = np.asarray(tensor)
        if first in ("mapping", "synthesis"):
            parts.setdefault(first, {})[rest] = value
        else:
            own[key] = value
    inner = {key: Network(f"{name}_{key}", each, {}) for key, each in parts.items()}
    return Network(name, own, settings, inner)


def write_tensorflow(path, networks, protocol=None):
    with modules(dnnlib__tflib__network={"Network": Network}):
        path.write_bytes(pickle.dumps(tuple(networks), protocol))


class BaseConfig:
    def __init__(self, **settings):
        self.__dict__.update(settings)


def write_pgan(path, content, **settings):
    with modules(models__utils__config={"BaseConfig": BaseConfig}):
        torch.save({"config": BaseConfig(**settings), **content}, path)
