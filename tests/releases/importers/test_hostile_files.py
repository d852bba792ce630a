"""Hostile and broken files: nothing of them is executed, and one sentence says what is wrong."""

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest
import torch
from public_files import filled, network, persistent, write_nvidia, write_tensorflow
from safetensors.torch import save_file

from lit_synth.cli import main
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.releases.importers import dcgan, unpickling
from lit_synth.releases.importers.files import read_weights
from lit_synth.releases.importers.layout import to_public

CALLED = [
    "os.system", "posix.system", "builtins.eval", "builtins.exec", "builtins.__import__",
    "builtins.getattr", "builtins.open", "subprocess.Popen", "importlib.import_module",
    "pickle.loads", "runpy.run_path", "shutil.rmtree", "operator.attrgetter", "ctypes.CDLL",
    "functools.partial", "types.FunctionType", "torch.load", "torch.hub.load", "torch.jit.load",
    "numpy.load", "__main__.Generator", "torch.nn.modules.linear.Linear",
]  # fmt: skip


def text(word):
    return b"X" + struct.pack("<I", len(word)) + word.encode()


def state_dict(**changed):
    """A tiny DCGAN generator's tensors, under the keys of the PyTorch examples."""
    made = filled(DCGANGenerator(image_size=16, latent_dim=4, width=2))
    own = {f"generator.{key}": tensor for key, tensor in made.state_dict().items()}
    return to_public(dcgan.generator_part(made.init_args), own) | changed


@pytest.fixture
def refused(tmp_path, capsys):
    """Import a file, and see that one sentence is all that comes of it."""

    def check(data, *words):
        path, out, canary = (tmp_path / name for name in ("file.pkl", "release", "canary"))
        path.write_bytes(data)
        assert main(["import", str(path), "--out", str(out)]) == 2
        said = capsys.readouterr().err
        assert said.startswith("lit-synth: ")
        assert said.count("\n") == 1, said
        assert len(said) < 1500
        for word in words:
            assert word in said
        assert not canary.exists()
        assert not out.exists()

    check.canary = tmp_path / "canary"
    return check


def evil(canary):
    """A pickle that touches a file where it is executed."""
    module, name = text("os"), text("system")
    return module + name + b"\x93" + text(f"touch {canary}") + b"\x85R"


@pytest.mark.parametrize("path", CALLED)
def test_what_a_file_calls_is_named_and_not_called(refused, path):
    module, _, name = path.rpartition(".")
    argument = text(f"touch {refused.canary}")
    named = f"c{module}\n{name}\n".encode()
    calls = [
        named + argument + b"\x85R.",  # GLOBAL, REDUCE
        b"\x80\x04" + text(module) + text(name) + b"\x93" + argument + b"\x85R.",  # STACK_GLOBAL
        b"\x80\x02" + named + argument + b"\x85\x81.",  # NEWOBJ
        b"\x80\x04" + named + argument + b"\x85}\x92.",  # NEWOBJ_EX
        b"(" + argument + f"i{module}\n{name}\n.".encode(),  # INST
        b"(" + named + argument + b"o.",  # OBJ
        named + b"}b.",  # BUILD
    ]
    for call in calls:
        refused(call, path)


def test_it_would_be_executed_by_pickle(refused):
    pickle.loads(b"\x80\x04" + evil(refused.canary) + b".")
    assert refused.canary.exists()


@pytest.mark.parametrize("named", ["collections.OrderedDict", "torch.Size", "numpy.dtype"])
def test_known_words_cannot_be_changed_or_misused(refused, named):
    module, _, name = named.rpartition(".")
    word = f"c{module}\n{name}\n".encode()
    refused(word + b"}(" + text("x") + text("y") + b"ub.")  # BUILD of the word itself
    refused(word + text("x") + b"a.")  # APPEND to it
    refused(word + text("x") + text("y") + b"s.")  # SETITEM of it
    refused(word + word + b"\x85RR.")  # a call of what the call gave


@pytest.mark.parametrize(
    "data",
    [
        b"\x82\x01.", b"\x83\x01\x00.", b"\x84\x01\x00\x00\x00.",  # EXT1, EXT2, EXT4
        b"\x97.", b"N\x98.",  # out-of-band buffers
        b"\xff.", b".", b"(", b"N", b"0.", b"R.", b"h\x05.", b"(a.", b"}(K\x01us.", b"\x80\x09N",
        b"I99999x\n.", b"F1e\n.", b"S'unended\n.", b"T\xff\xff\xff\x7fabc.", b"]K\x01K\x02s.",
        b"}}}s.", b"}\x8b\xff\xff\xff\xffN.", b"cos\n", b"c\n\n.", b"\x95" + b"\xff" * 8 + b"N.",
        b"\x8e" + b"\xff" * 8 + b"x.", b"((((((((((((.",
    ],
)  # fmt: skip
def test_broken_and_unknown_opcodes(refused, data):
    refused(data)


def legacy(value, protocol=1001, magic=0x1950A86A20F9469CFC6C, little=True, keys=(), data=b""):
    parts = [magic, protocol, {"protocol_version": protocol, "little_endian": little}]
    pickles = [pickle.dumps(part, 2) for part in parts]
    return b"".join([*pickles, value, pickle.dumps(list(keys), 2), data])


def storage_id(kind="FloatStorage", key="0", numel="K\x02", tail=""):
    number = numel.encode("latin-1")
    end = tail.encode("latin-1") or b"t"
    return (
        b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
        + number + end + b"Q"
    )  # fmt: skip


def blob(data):
    """A call of torch.storage._load_from_bytes."""
    length = struct.pack("<I", len(data))
    return b"ctorch.storage\n_load_from_bytes\nB" + length + data + b"\x85R"


def test_blobs_within_a_pickle(refused):
    inner = b"\x80\x02" + storage_id() + b"."
    whole = legacy(inner, keys=["0"], data=struct.pack("<q", 2) + bytes(8))
    assert read_bytes(refused, blob(whole) + b".").tolist() == [0, 0]
    canary = evil(refused.canary)
    hostile = [
        legacy(b"\x80\x04" + canary + b"."),
        b"\x80\x04" + canary + b".",
        legacy(b"\x80\x02" + blob(whole) + b"."),  # a blob within a blob
        legacy(inner, keys=["0"], data=struct.pack("<q", 3) + bytes(12)),
        legacy(inner, keys=["0"], data=struct.pack("<q", 2) + bytes(4)),
        legacy(inner, keys=["0", "1"], data=struct.pack("<q", 2) + bytes(8)),
        legacy(inner, keys=[]),
        legacy(inner, protocol=1000, keys=["0"]),
        legacy(inner, magic=5, keys=["0"]),
        legacy(inner, little=False, keys=["0"]),
        legacy(b"\x80\x02" + storage_id(numel="J\xff\xff\xff\x7f") + b".", keys=["0"]),
        legacy(b"\x80\x02" + storage_id(kind="ObjectStorage") + b".", keys=["0"]),
        legacy(b"\x80\x02" + storage_id(key="../x") + b".", keys=["../x"]),
        legacy(b"\x80\x02" + storage_id() + storage_id(numel="K\x03") + b".", keys=["0"]),
        b"", b"x", whole[:-3], whole[:40], whole[:4], pickle.dumps({"a": 1}),
    ]  # fmt: skip
    assert len(hostile) == 20
    for data in hostile[:-1]:
        refused(blob(data) + b".")
    refused(blob(hostile[-1]) + b".")
    refused(b"ctorch.storage\n_load_from_bytes\nX\x01\x00\x00\x00x\x85R.")  # text, no bytes


def read_bytes(refused, data):
    path = refused.canary.with_name("read.pkl")
    path.write_bytes(data)
    return read_weights(path)


PERSISTENT = [
    b"Pword\n.", b"P\n.", text("x") + b"Q.", b"NQ.", b"K\x05Q.", b")Q.", b"]Q.", b"}Q.",
    b"(" + text("storage") + b"tQ.", b"(" + text("module") + b"NNNNtQ.",
    b"(" + text("storage") + b"NNNNtQ.",
    b"\x80\x04" + text("x") * 5 + b"t.",
    storage_id(kind="Storage") + b".", storage_id(kind="UntypedStorage") + b".",
    storage_id(key="") + b".", storage_id(key="a/b") + b".", storage_id(numel="N") + b".",
    storage_id(numel="J\xff\xff\xff\xff") + b".", storage_id(numel="G" + "\x00" * 8) + b".",
    storage_id(numel=")") + b".", storage_id(numel="K\x02K\x02K\x02K\x02") + b".",
]  # fmt: skip


def archive(data_pkl, storages=(), compress=zipfile.ZIP_STORED, **files):
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", compress) as file:
        file.writestr("archive/data.pkl", data_pkl)
        for key, data in storages:
            file.writestr(f"archive/data/{key}", data)
        for name, data in files.items():
            file.writestr(f"archive/{name}", data)
    return written.getvalue()


@pytest.mark.parametrize("data", PERSISTENT)
def test_persistent_ids(refused, data):
    refused(data)
    refused(archive(data, [("0", bytes(8))]))
    refused(legacy(data, keys=["0"], data=struct.pack("<q", 2) + bytes(8)))


def tensor(offset, size, stride, storage=None):
    """A call of torch._utils._rebuild_tensor_v2 over a storage of two floats."""
    numbers = b"".join(pickle.dumps(each, 2)[2:-1] for each in (offset, size, stride))
    rest = b"\x89N"
    called = b"ctorch._utils\n_rebuild_tensor_v2\n("
    return called + (storage or storage_id()) + numbers + rest + b"tR."


LYING = [
    (0, (3,), (1,)), (1, (2,), (1,)), (2, (1,), (1,)), (-1, (1,), (1,)), (0, (-2,), (1,)),
    (0, (2,), (-1,)), (0, (10**6,), (0,)), (0, (10**12,), (0,)), (0, (2**40, 2**40), (0, 0)),
    (0, (2,), (10**9,)), (0, (2, 2), (1, 1)), (0, (1, 2), (1,)), (0, (1,) * 9, (1,) * 9),
    (0, 2, (1,)), (0, (2,), 1), (0.5, (2,), (1,)), (0, (1.5,), (1,)), (True, (1,), (1,)),
    ("0", (1,), (1,)), (0, ("2",), (1,)), (10**30, (1,), (1,)), (0, (10**30,), (0,)),
]  # fmt: skip


@pytest.mark.parametrize(("offset", "size", "stride"), LYING)
def test_lying_sizes_of_tensors(refused, offset, size, stride):
    data = tensor(offset, size, stride)
    refused(archive(data, [("0", bytes(8))]))
    refused(legacy(data, keys=["0"], data=struct.pack("<q", 2) + bytes(8)))


def test_lying_sizes_of_archives(refused):
    whole = tensor(0, (2,), (1,))
    for storages in (
        [("0", bytes(4))],
        [("0", bytes(12))],
        [("0", bytes(7))],
        [("1", bytes(8))],
        [],
    ):
        refused(archive(whole, storages))
    refused(archive(whole, [("0", bytes(8))], compress=zipfile.ZIP_DEFLATED), "compressed")
    refused(archive(whole, [("0", bytes(8))], byteorder=b"big"), "big-endian")
    bomb = archive(b"\x80\x02N.", [("0", bytes(10**7))], compress=zipfile.ZIP_DEFLATED)
    refused(bomb, "compressed")


def array(data, dtype="f4", order="<", shape=(2,), fortran=False, extra=()):
    """The opcodes of a numpy array."""
    dtype_state = pickle.dumps((3, order, *(extra or (None, None, None)), -1, -1, 0), 2)[2:-1]
    kind = f"cnumpy\ndtype\n(X{len(dtype):c}\x00\x00\x00{dtype}K\x00K\x01tR".encode()
    shaped = pickle.dumps(shape, 2)[2:-1]
    raw = b"B" + struct.pack("<I", len(data)) + data
    called = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85C\x01btR"
    flag = b"\x88" if fortran else b"\x89"
    return called + b"(K\x01" + shaped + kind + dtype_state + b"b" + flag + raw + b"tb."


def test_lying_arrays(refused):
    assert read_bytes(refused, array(bytes(8))).tensor.tolist() == [0, 0]
    hostile = [
        array(bytes(4)), array(bytes(12)), array(b""), array(bytes(8), shape=(-2,)),
        array(bytes(8), shape=(10**12,)), array(bytes(8), shape=(2**40, 2**40)),
        array(bytes(8), shape=("2",)), array(bytes(8), shape=(1,) * 40), array(bytes(8), "O8"),
        array(bytes(8), "V8"), array(bytes(8), "S8"), array(bytes(8), "U2"), array(bytes(8), "c8"),
        array(bytes(8), "M8"), array(bytes(8), order=">"), array(bytes(8), "f16"),
        array(bytes(8), extra=(("f4", (2,)), None, None)), array(bytes(8), "f4,i4"),
        array(bytes(8), shape=2), array(bytes(8), "x"),
    ]  # fmt: skip
    assert len(hostile) == 20
    for data in hostile:
        refused(data)


def saved(state, **options):
    file = io.BytesIO()
    torch.save(state, file, **options)
    return file.getvalue()


# Without these a file is taken for nothing, or for a smaller network of which much is left over.
TELLING = ("main.0.weight", "main.1.running_mean", "main.3.weight", "main.6.weight")


def test_missing_and_foreign_keys_are_listed(refused):
    whole = state_dict()
    for key in list(whole):
        if key.endswith("num_batches_tracked") or key in TELLING:
            continue
        refused(saved({k: t for k, t in whole.items() if k != key}), key)
    for key in ("main.99.weight", "extra", "main.0.bias", "main.1.other"):
        refused(saved({**whole, key: torch.zeros(1)}), key)


def test_wrong_shapes_and_values(refused):
    whole = state_dict()
    for key, value in whole.items():
        if value.dim() == 4:
            refused(saved({**whole, key: torch.zeros(*value.shape[:3], 5)}))
        elif value.dim() == 1:
            refused(saved({**whole, key: torch.zeros(len(value) + 1)}))
    refused(saved(state_dict(**{"main.1.weight": torch.full((4,), float("nan"))})), "main.1.weight")
    refused(saved(state_dict(**{"main.0.weight": torch.empty(0)})))


def test_words_of_a_file_do_not_break_the_sentence(refused):
    word = "two\nlines\x1b[31m"
    refused(saved({**state_dict(), word: torch.zeros(1)}), "two?lines?")
    refused(saved({word: {"x": torch.zeros(1)}}), "two?lines?")
    refused(b"\x80\x04" + text(word) + text("x" * 500) + b"\x93.", "two?lines?")
    refused(legacy(b"\x80\x02N.", keys=[["0"] * 3]))


def test_no_network_at_all(refused, tmp_path, capsys):
    for content in ({}, [], None, 5, "x", {"a": 1}, {"a": torch.zeros(2)}, [torch.zeros(3)]):
        refused(saved(content))
        refused(pickle.dumps(None if isinstance(content, list | dict) else content))
    for data in (b"", b"GIF89a", b"\x89HDF\r\n", b"PK\x03\x04", b"<html>", bytes(64)):
        refused(data)
    assert main(["import", str(tmp_path / "none"), "--out", str(tmp_path / "r")]) == 2
    (tmp_path / "empty").mkdir()
    assert main(["import", str(tmp_path / "empty"), "--out", str(tmp_path / "r")]) == 2
    assert "G_ema.pth" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["zip", "legacy", "nvidia", "tensorflow", "safetensors"])
def test_truncated_files(refused, kind, tmp_path):
    path = tmp_path / "whole"
    state = state_dict()
    if kind == "nvidia":
        write_nvidia(path, {"G_ema": persistent("Generator", state, {})})
    elif kind == "tensorflow":
        write_tensorflow(path, [network("G", {"x": np.zeros(9)}, {}) for _ in range(3)])
    elif kind == "safetensors":
        save_file(state, path)
    else:
        path.write_bytes(saved(state, _use_new_zipfile_serialization=kind == "zip"))
    whole = path.read_bytes()
    for i in range(20):
        refused(whole[: len(whole) * i // 20])


def test_other_networks_of_tensorflow_are_named(refused, tmp_path):
    kinds = ["G_paper", "D_paper", "G_style", "D_basic", "G_wgan_acgan", "E", "G_synthesis"]
    for kind in kinds:
        path = tmp_path / "of_tensorflow"
        names = {"G_style": "synthesis/4x4/Const/const"}
        variables = {names.get(kind, "4x4/Dense/weight"): np.zeros((2, 2), "f4")}
        write_tensorflow(path, [network(kind, variables, {}) for _ in range(3)])
        refused(path.read_bytes(), kind)


def test_stylegan3_is_named(refused, tmp_path):
    path = tmp_path / "of_nvidia"
    g = persistent("Generator", {"synthesis.input.freqs": torch.zeros(4, 2)}, {})
    write_nvidia(path, {"G_ema": g})
    refused(path.read_bytes(), "StyleGAN3")


def test_shared_parts_take_no_time(refused):
    """Dicts of dicts of one dict, forty times: walked once, not 2^40 times."""
    opcodes = [b"}"]
    for i in range(40):
        opcodes.append(b"q" + bytes([i]) + b"0}" + text("a") + b"h" + bytes([i]) + b"s")
        opcodes.append(text("b") + b"h" + bytes([i]) + b"s")
    refused(b"".join(opcodes) + b".")
    pairs = b"N" + b"".join(
        b"q" + bytes([i]) + b"0h" + bytes([i]) * 1 + b"h" + bytes([i]) + b"\x86" for i in range(60)
    )
    refused(b"}" + pairs + b"Ns.", "key")  # hashing such a tuple would take 2^60 steps


def test_long_pickles_end(refused, monkeypatch):
    monkeypatch.setattr(unpickling, "MAX_OPCODES", 1000)
    refused(b"N0" * 501 + b"N.", "steps")
    inner = b"N0" * 240 + b"\x80\x02" + storage_id() + b"."
    whole = legacy(inner, keys=["0"], data=struct.pack("<q", 2) + bytes(8))
    refused(b"]" + (blob(whole) + b"a") * 3 + b".", "steps")  # together


BIG = b"B" + struct.pack("<I", 2**18) + bytes(2**18) + b"q\xc80"  # a quarter of a MiB, kept as 1
TEXT = b"X" + struct.pack("<I", 2**18) + b"x" * 2**18 + b"q\xc80"
LIST = b"(" + b"K\x01" * 2**13 + b"lq\xc80"
STORED = legacy(
    b"\x80\x02" + storage_id(numel="J\0\0\1\0") + b".",
    keys=["0"],
    data=struct.pack("<q", 2**16) + bytes(2**18),
)
BLOB = b"B" + struct.pack("<I", len(STORED)) + STORED + b"q\xc80"
SHARED = {  # each makes a copy of what it is given, which a file may give ten thousand times
    "array": (BIG, array(b"", shape=(2**16,)).replace(b"B\0\0\0\0", b"h\xc8")[:-1]),
    "buffer": (
        BIG,
        b"cnumpy.core.numeric\n_frombuffer\n(h\xc8cnumpy\ndtype\n(" + text("f4") + b"K\0K\x01tR"
        b"J\0\0\x01\0\x85" + text("C") + b"tR",
    ),
    "encoded": (TEXT, b"c_codecs\nencode\n(h\xc8" + text("latin1") + b"tR"),
    "blob": (BLOB, b"ctorch.storage\n_load_from_bytes\nh\xc8\x85R"),
    "size": (LIST, b"ctorch\nSize\nh\xc8\x85R"),
    "set": (LIST, b"cbuiltins\nset\nh\xc8\x85R"),
    "tensor": (
        b"", tensor(0, (2**18,), (1,), storage_id(numel="J\x00\x00\x04\x00"))[:-1]
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHARED)
def test_what_is_used_many_times_is_counted_many_times(refused, kind):
    shared, use = SHARED[kind]
    data = b"\x80\x04" + shared + b"]" + (use + b"a") * 2000 + b"."
    data = archive(data, [("0", bytes(2**20))]) if kind == "tensor" else data
    refused(data, "larger than the file")
