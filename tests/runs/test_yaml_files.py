"""Files of anybody: a sentence where they cannot be read, and no more than they may cost."""

import os
import pickle
import time

import pytest
import torch
from bad_input import BOMB

from lit_synth.errors import InputError
from lit_synth.runs.yaml_files import read_mapping
from lit_synth.tensors.tensor_files import load_tensors

MERGED = "a0: &a0 {k: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
)


def test_names_and_values_with_aliases(tmp_path):
    path = tmp_path / "some.yaml"
    path.write_text("a: &a [1, 2.5]\nb: *a\nc: {<<: {d: null}}\n")
    assert read_mapping(path, "it") == {"a": [1, 2.5], "b": [1, 2.5], "c": {"d": None}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "stand for more than 100000 values"),
        (MERGED, "stand for more than 100000 values"),
        ("a: &a [*a]", "stand for more than 100000 values"),
        ("a: " + "[" * 10_000, "nested more than 50 deep"),
        ("a: " + "x" * 2**24, "more than 16 MiB"),
        ("a: [", "cannot be read"),
        ("a: 2000-99-99", "cannot be read"),
        ("a: !!timestamp x", "cannot be read"),
        ("a: !!python/object/apply:os.system [ls]", "cannot be read"),
        ("\x00\x01", "cannot be read"),
        ("", "holds nothing"),
        ("- 1", "holds a list"),
        ("text", "holds a str"),
        ("1: 2", "expected names with values"),
    ],
    ids=lambda each: each[:12],
)
def test_other_documents_are_one_sentence(tmp_path, text, reason):
    path = tmp_path / "some.yaml"
    path.write_text(text)
    start = time.monotonic()
    with pytest.raises(InputError, match=reason) as error:
        read_mapping(path, "the plan")
    assert str(error.value).startswith(f"the plan {path} ")
    assert "\n" not in str(error.value)
    assert time.monotonic() - start < 10


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # reading it would wait forever
    for name in ("pipe", "nowhere", "."):
        with pytest.raises(InputError, match="is no file"):
            read_mapping(tmp_path / name, "it")
    (tmp_path / "latin").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(InputError, match="cannot be read"):
        read_mapping(tmp_path / "latin", "it")


@pytest.mark.parametrize("content", [pickle.dumps(os.system), b"no tensors"])
def test_torchs_advice_to_execute_a_file_is_not_passed_on(tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(pickle.UnpicklingError) as error:
        load_tensors(path)
    assert str(error.value).startswith("holds more than tensors")
    torch.save({"a": torch.ones(1)}, path)
    assert load_tensors(path)["a"].item() == 1
