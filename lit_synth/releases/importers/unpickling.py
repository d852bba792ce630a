"""Pickles read as data: a machine of our own runs their opcodes and can call nothing.

A pickle is a program for a stack machine. Python's machine imports what it names (GLOBAL,
STACK_GLOBAL, INST, EXT*), calls it (REDUCE, NEWOBJ, NEWOBJ_EX, OBJ, INST) and lets the result
change itself (BUILD), which is how such a file executes code. Ours imports nothing: a name stays a
`Name`, a word that cannot be called. The five calling opcodes look that word up in a table of our
own functions; for classes of public layouts these make a `Record` of name, arguments and state, for
tensors and arrays they check what is said of them. A word that is not in the table ends the
reading. BUILD stores the state in a `Record`, and nowhere else. Persistent ids go to a function of
the file's reader, extension codes and out-of-band buffers are refused, and every other opcode moves
plain values between stack, memo and containers.

`pickletools.genops` of the standard library splits the bytes into opcodes and arguments and
executes none. What is read costs no more than in proportion to its bytes: an argument is at most
as long as what is left of the file, opcodes and what is made by calls are counted against a
`Budget`, a container refers to its parts without copying them, and keys are plain words or
numbers, whose hashes are cheap.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, NamedTuple, Protocol, cast

MAX_OPCODES = 2_000_000  # of a file; some ten times what a large public one has
A_REFERENCE = 64  # bytes that a part of a list or dict takes

Maker = Callable[[tuple[Any, ...]], Any]


class RefusedError(ValueError):
    """What a file asks for is not done; the message goes after the file's name."""


class Budget:
    """What reading a file may cost: memory in proportion to its bytes, and so many steps.

    Args:
        file_bytes: Size of the file.
    """

    def __init__(self, file_bytes: int) -> None:
        self.bytes, self.steps = 4 * file_bytes + 2**20, MAX_OPCODES

    def take(self, size: int) -> None:
        """Count bytes; RefusedError if it all becomes larger than a file of this size can be."""
        self.bytes -= size
        if self.bytes < 0:
            raise RefusedError("says of its tensors that they are larger than the file")

    def take_for(self, args: tuple[Any, ...]) -> None:
        """Count the bytes of what is made of arguments: a file may use one of them many times."""
        for arg in args:
            if isinstance(arg, str | bytes | bytearray):
                self.take(len(arg))
            elif isinstance(arg, list | tuple | dict):
                self.take(len(arg) * A_REFERENCE)

    def step(self) -> None:
        """Count a step."""
        self.steps -= 1
        if self.steps < 0:
            raise RefusedError(f"has pickles of more than {MAX_OPCODES:,} steps")


class BytesFile(Protocol):
    """What pickles are read from; a file in memory, or mapped into it."""

    def read(self, size: int, /) -> bytes:
        """Return so many bytes, or as many as are left."""

    def readline(self) -> bytes:
        """Return the bytes up to the next end of a line."""


def shown(word: str, most: int = 80) -> str:
    """Return a word of a file as a message may show it: short, and in one line."""
    return "".join(c if c.isprintable() else "?" for c in word[:most])


class Name(NamedTuple):
    """A name of something in a module, as it stands in a pickle; nothing is imported for it."""

    path: str


@dataclass
class Record:
    """An object that a pickle describes: what it is called, made from, and its state.

    Attributes:
        name: Of its class, or of the function that would make it.
        args: What would be given to that.
        state: What its `__setstate__` would be given; None without one.
    """

    name: str
    args: tuple[Any, ...] = ()
    state: Any = None

    def build(self, state: Any) -> None:
        """Keep a state."""
        self.state = state


class _Mark:
    """Where on the stack a group of values begins."""


class Machine:
    """Runs one pickle.

    Args:
        file: Bytes from the pickle's first on; afterwards they stand behind its last.
        makers: Name -> what is made of arguments; names that are not in it are refused.
        persistent: What is made of a persistent id.
        budget: Of the file.
    """

    def __init__(
        self,
        file: "BytesFile",
        makers: Mapping[str, Maker],
        persistent: Callable[[Any], Any],
        budget: Budget,
    ) -> None:
        self.file, self.makers, self.persistent = file, makers, persistent
        self.budget = budget
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Return the value that the pickle describes.

        Raises:
            RefusedError: It names what is not known, or it is too long.
            ValueError, LookupError, TypeError: It is damaged.
        """
        for opcode, arg, _ in pickletools.genops(cast("IO[bytes]", self.file)):
            self.budget.step()
            if opcode.name == "STOP":
                return self.pop()
            if opcode.name not in _OPERATIONS:
                raise RefusedError(f"uses the pickle opcode {opcode.name}")
            _OPERATIONS[opcode.name](self, arg)
        raise ValueError("a pickle without an end")

    def pop(self) -> Any:
        """Take the last value from the stack."""
        value = self.stack.pop()
        if isinstance(value, _Mark):
            raise ValueError("a value is missing")
        return value

    def group(self) -> list[Any]:
        """Take the values behind the last mark from the stack, and the mark."""
        at = next(i for i in reversed(range(len(self.stack))) if isinstance(self.stack[i], _Mark))
        values = self.stack[at + 1 :]
        del self.stack[at:]
        return values

    def known(self, path: str) -> Name:
        """Return a name; RefusedError if nothing is made of it."""
        if path not in self.makers:
            raise RefusedError(f"asks for {shown(path, 120)}")
        return Name(path)

    def make(self, called: Any, args: Any) -> Any:
        """Return what stands for a call."""
        if not isinstance(called, Name):
            raise RefusedError(f"calls a {type(called).__name__}")
        if not isinstance(args, tuple):
            raise TypeError("arguments that are no tuple")
        self.budget.take_for(args)
        return self.makers[called.path](args)

    def memoize(self, index: int | None) -> None:
        """Remember the last value of the stack."""
        value = self.stack[-1]
        if isinstance(value, _Mark):
            raise ValueError("a value is missing")
        self.memo[len(self.memo) if index is None else index] = value


def _push(machine: Machine, arg: Any) -> None:
    machine.stack.append(arg)


def _nothing(machine: Machine, arg: Any) -> None:
    pass


def _literal(make: Callable[[], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make())


def _grouped(make: Callable[[list[Any]], Any]) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.stack.append(make(machine.group()))


def _tuple_of(n: int) -> Callable[[Machine, Any], None]:
    def operation(machine: Machine, _: Any) -> None:
        values = [machine.pop() for _ in range(n)]
        machine.stack.append(tuple(reversed(values)))

    return operation


def _pairs(values: list[Any]) -> dict[Any, Any]:
    if len(values) % 2:
        raise ValueError("a key without a value")
    for key in values[::2]:
        if not isinstance(key, str | bytes | int | float | None):
            raise RefusedError(f"has a dict with a {type(key).__name__} for a key")
    return dict(zip(values[::2], values[1::2], strict=True))


def _extend(container: Any, values: list[Any]) -> None:
    if not isinstance(container, list):
        raise RefusedError(f"appends to a {type(container).__name__}")
    container.extend(values)


def _update(container: Any, values: list[Any]) -> None:
    if not isinstance(container, dict):
        raise RefusedError(f"sets items of a {type(container).__name__}")
    container.update(_pairs(values))


def _append(machine: Machine, _: Any) -> None:
    value = machine.pop()
    _extend(machine.stack[-1], [value])


def _appends(machine: Machine, _: Any) -> None:
    values = machine.group()
    _extend(machine.stack[-1], values)


def _setitem(machine: Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    _update(machine.stack[-1], [key, value])


def _setitems(machine: Machine, _: Any) -> None:
    values = machine.group()
    _update(machine.stack[-1], values)


def _global(machine: Machine, arg: str) -> None:
    machine.stack.append(machine.known(".".join(arg.split(" "))))


def _stack_global(machine: Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    if not (isinstance(name, str) and isinstance(module, str)):
        raise TypeError("a name that is no text")
    machine.stack.append(machine.known(f"{module}.{name}"))


def _reduce(machine: Machine, _: Any) -> None:
    args, called = machine.pop(), machine.pop()
    machine.stack.append(machine.make(called, args))


def _newobj_ex(machine: Machine, _: Any) -> None:
    if machine.pop() != {}:
        raise RefusedError("makes an object with named arguments")
    _reduce(machine, None)


def _inst(machine: Machine, arg: str) -> None:
    args = tuple(machine.group())
    machine.stack.append(machine.make(machine.known(".".join(arg.split(" "))), args))


def _obj(machine: Machine, _: Any) -> None:
    called, *args = machine.group()
    machine.stack.append(machine.make(called, tuple(args)))


def _build(machine: Machine, _: Any) -> None:
    state, built = machine.pop(), machine.stack[-1]
    if isinstance(built, Record):
        built.build(state)
    elif not isinstance(built, dict):  # attributes of a state dict, as its versions, are let go
        raise RefusedError(f"sets the state of a {type(built).__name__}")


def _persistent(machine: Machine, arg: str) -> None:
    machine.stack.append(machine.persistent(arg))


def _binary_persistent(machine: Machine, _: Any) -> None:
    machine.stack.append(machine.persistent(machine.pop()))


def _pop(machine: Machine, _: Any) -> None:
    machine.stack.pop()


def _pop_group(machine: Machine, _: Any) -> None:
    machine.group()


def _duplicate(machine: Machine, _: Any) -> None:
    value = machine.pop()
    machine.stack += [value, value]


def _put(machine: Machine, arg: int | None) -> None:
    machine.memoize(arg)


def _get(machine: Machine, arg: int) -> None:
    machine.stack.append(machine.memo[arg])


_OPERATIONS: dict[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(("PROTO", "FRAME"), _nothing),
    **dict.fromkeys(("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4"), _push),
    **dict.fromkeys(("FLOAT", "BINFLOAT", "STRING", "BINSTRING", "SHORT_BINSTRING"), _push),
    **dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"), _push),
    **dict.fromkeys(("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"), _push),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"), _put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _get),
    "NONE": _literal(lambda: None),
    "NEWTRUE": _literal(lambda: True),
    "NEWFALSE": _literal(lambda: False),
    "EMPTY_LIST": _literal(list),
    "EMPTY_TUPLE": _literal(tuple),
    "EMPTY_DICT": _literal(dict),
    "EMPTY_SET": _literal(list),  # of sets only the members matter here
    "LIST": _grouped(list),
    "TUPLE": _grouped(tuple),
    "DICT": _grouped(_pairs),
    "FROZENSET": _grouped(list),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "MARK": _literal(_Mark),
    "POP": _pop,
    "POP_MARK": _pop_group,
    "DUP": _duplicate,
    "APPEND": _append,
    "APPENDS": _appends,
    "ADDITEMS": _appends,
    "SETITEM": _setitem,
    "SETITEMS": _setitems,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _reduce,
    "NEWOBJ_EX": _newobj_ex,
    "INST": _inst,
    "OBJ": _obj,
    "BUILD": _build,
    "PERSID": _persistent,
    "BINPERSID": _binary_persistent,
}
