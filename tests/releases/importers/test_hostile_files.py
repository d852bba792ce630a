"""Hostile and broken files: nothing of them is executed, and one sentence says what is wrong."""

import bz2
import gzip
import io
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from public_files import filled, network, persistent, write_nvidia, write_tensorflow
from safetensors.torch import save_file

from lit_synth.cli import main
from lit_synth.networks.biggan import BigGANGenerator
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.pgan import PGANCritic, PGANGenerator
from lit_synth.networks.resnet_translator import ResNetTranslator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.networks.unet import UNet
from lit_synth.releases.importers import (
    biggan,
    cyclegan,
    dcgan,
    pgan,
    pix2pix,
    rosinality,
    stylegan2_ada,
    unpickling,
)
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


CENTRAL = {"flags": 8, "method": 10, "crc": 16, "compressed": 20, "size": 24, "begins": 42}
WHOLE = tensor(0, (2,), (1,))


def lying(field, value):
    """An archive whose list of entries says something else of the storage 0."""
    data = bytearray(archive(WHOLE, [("0", bytes(8))]))
    entry = data.rindex(b"PK\x01\x02", 0, data.rindex(b"archive/data/0"))
    packed = struct.pack("<H" if field in ("flags", "method") else "<I", value)
    at = entry + CENTRAL[field]
    data[at : at + len(packed)] = packed
    return bytes(data)


ARCHIVES = [
    archive(WHOLE, [("0", bytes(4))]), archive(WHOLE, [("0", bytes(12))]),
    archive(WHOLE, [("0", bytes(7))]), archive(WHOLE, [("1", bytes(8))]), archive(WHOLE),
    archive(WHOLE, [("0", bytes(8))], compress=zipfile.ZIP_DEFLATED),
    archive(b"\x80\x02N.", [("0", bytes(10**7))], compress=zipfile.ZIP_DEFLATED),
    archive(b"\x80\x02N.", [("0", bytes(10**5))], compress=zipfile.ZIP_BZIP2),
    archive(WHOLE, [("0", bytes(8))], byteorder=b"big"),
    archive(WHOLE, [("0", bytes(8))]).replace(b"archive/data.pkl", b"archive/date.pkl"),
    archive(WHOLE, [("0/data.pkl", bytes(8))]), archive(b"", [("0", bytes(8))]),
    lying("size", 4), lying("size", 2**31), lying("compressed", 4), lying("compressed", 2**31),
    lying("crc", 1), lying("begins", 0), lying("begins", 2**31), lying("flags", 1),
    lying("method", 8), lying("method", 99),
]  # fmt: skip


def test_lying_sizes_of_archives(refused):
    assert len(ARCHIVES) >= 20
    for data in ARCHIVES:
        refused(data)
    refused(ARCHIVES[5], "compressed")
    refused(ARCHIVES[6], "compressed")
    refused(ARCHIVES[8], "big-endian")


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


def tar_of_the_first():
    """A file of torch.save before 0.1.10."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as file:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            file.addfile(tarfile.TarInfo(name))
    return written.getvalue()


STATE = b"\x80\x02" + storage_id() + b"."
FLOATS = {"keys": ["0"], "data": struct.pack("<q", 2) + bytes(8)}
VERSIONS = {
    "torch-before-0.4": legacy(STATE, protocol=1000, **FLOATS),
    "torch-to-come": legacy(STATE, protocol=1002, **FLOATS),
    "torch-of-another-magic": legacy(STATE, magic=0x1950A86A20F9469CFC6D, **FLOATS),
    "torch-big-endian": legacy(STATE, little=False, **FLOATS),
    "torch-0.1": tar_of_the_first(),
    "torchscript": archive(b"\x80\x02c__torch__.models\nG\n)\x81.", **{"code/g.py": b"import os"}),
    "torch-package": archive(b"\x80\x02N.").replace(b"data.pkl", b".data/ex"),
    "pickle-6": b"\x80\x06N.",
    "pickle-255": b"\x80\xffN.",
    "pickle-of-objects": pickle.dumps(np.array([{}, []], dtype=object)),
    "npy": b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}\n",
    "npz": archive(b"").replace(b"archive/data.pkl", b"archive/data.npy"),
    "gzip": gzip.compress(pickle.dumps({"a": 1})),
    "bz2": bz2.compress(pickle.dumps({"a": 1})),
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(100),
    "keras": archive(b"").replace(b"archive/data.pkl", b"archive/conf.jsn"),
    "onnx": b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + bytes(40),
    "saved-model": b"\x08\x01\x12\xa7\x12\n\x9f\x05" + bytes(40),
    "gguf": b"GGUF\x03\0\0\0" + bytes(40),
    "msgpack": b"\x81\xa6params\x81\xa1w\xc4\x04" + bytes(4),
    "safetensors-to-come": struct.pack("<Q", 40) + b'{"a":{"dtype":"F4","shape":[1],"x":[0]}}',
}  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
def test_other_versions(refused, version):
    refused(VERSIONS[version])


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


FAMILIES = {
    "stylegan2-ada": (
        stylegan2_ada,
        {
            "generator": StyleGAN2Generator(16, 3, 5, 4, 64, 4, 2),
            "critic": StyleGAN2Discriminator(16, 3, 64, 4),
        },
    ),
    "rosinality": (rosinality, {"generator": StyleGAN2Generator(16, 3, 4, 4, 64, 4, 2)}),
    "biggan": (biggan, {"generator": BigGANGenerator(64, 3, 10, 2, 3, 4, [])}),
    "pgan": (pgan, {"generator": PGANGenerator([4, 4], 4), "critic": PGANCritic([4, 4])}),
    "cyclegan": (cyclegan, {"generator": ResNetTranslator(3, 3, 1, 2, bias=True)}),
    "pix2pix": (pix2pix, {"generator": UNet(3, 3, 16, 2)}),
}
LACKING = [
    ("stylegan2-ada", "G_ema", "synthesis.b8.conv0.bias"),
    ("stylegan2-ada", "G_ema", "synthesis.b16.torgb.affine.bias"),
    ("stylegan2-ada", "G_ema", "synthesis.b4.conv1.noise_const"),
    ("stylegan2-ada", "G_ema", "mapping.w_avg"),
    ("stylegan2-ada", "D", "b8.conv0.bias"), ("stylegan2-ada", "D", "b4.out.weight"),
    ("rosinality", "g_ema", "to_rgb1.conv.weight"),
    ("rosinality", "g_ema", "convs.0.noise.weight"),
    ("rosinality", "g_ema", "to_rgbs.0.conv.modulation.bias"),
    ("biggan", "G_ema", "blocks.0.0.conv_sc.sv0"),
    ("biggan", "G_ema", "blocks.1.0.bn1.stored_mean"),
    ("biggan", "G_ema", "blocks.3.0.conv1.u0"),
    ("biggan", "G_ema", "blocks.2.0.bn1.gain.weight"),
    ("pgan", "avgG", "formatLayer.module.bias"),
    ("pgan", "avgG", "scaleLayers.0.1.module.weight"),
    ("pgan", "netD", "decisionLayer.module.bias"),
    ("cyclegan", "", "model.18.bias"), ("cyclegan", "", "model.10.conv_block.5.weight"),
    ("pix2pix", "", "model.model.1.model.6.bias"),
    ("pix2pix", "", "model.model.1.model.2.running_var"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "place", "key"), LACKING)
def test_missing_keys_of_every_layout_are_listed(refused, family, place, key):
    layout, networks = FAMILIES[family]
    own = {
        f"{name}.{each}": tensor
        for name, made in networks.items()
        for each, tensor in filled(made).state_dict().items()
    }
    content = {at: to_public(part, own) for at, part in layout.write(networks).items()}
    del content[place][key]
    refused(saved(content if place else content[""]), key)


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


OTHERS = {  # of StyleGAN2: what these networks of TensorFlow have
    "G_paper": "4x4/Dense/weight", "D_paper": "128x128/FromRGB_lod0/weight",
    "G_style": "synthesis/4x4/Const/const", "G_main": "mapping/Dense0/weight",
    "G_mapping": "Dense0/weight", "G_synthesis": "4x4/Const/const", "D_basic": "4x4/Dense0/weight",
    "D_stylegan2": "4x4/Dense0/weight", "G_wgan_acgan": "lod", "E": "z_mean/weight",
}  # fmt: skip
TRAINED_WITH = {  # otherwise than any StyleGAN2 that ours is
    "architecture": "orig", "resample_kernel": [1, 2, 1], "nonlinearity": "relu",
    "mapping_nonlinearity": "relu", "mapping_lrmul": 1.0, "normalize_latents": False,
    "fused_modconv": "yes", "use_noise": False,
}  # fmt: skip


@pytest.mark.parametrize("kind", OTHERS)
def test_other_networks_of_tensorflow_are_named(refused, tmp_path, kind):
    path = tmp_path / "of_tensorflow"
    variables = {OTHERS[kind]: np.zeros((2, 2), "f4")}
    write_tensorflow(path, [network(kind, variables, {}) for _ in range(3)])
    refused(path.read_bytes(), kind)
    write_tensorflow(path, [network(kind, variables, {})])  # alone
    refused(path.read_bytes(), kind)


@pytest.mark.parametrize("setting", TRAINED_WITH)
def test_other_settings_of_tensorflow_are_named(refused, tmp_path, setting):
    path = tmp_path / "of_tensorflow"
    names = ("synthesis/4x4/Const/const", "synthesis/4x4/Conv/mod_weight")
    settings = {setting: TRAINED_WITH[setting]}
    made = network("G_main", dict.fromkeys(names, np.zeros((2, 2), "f4")), settings)
    write_tensorflow(path, [made] * 3)
    refused(path.read_bytes(), f"trained with {setting}")


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
