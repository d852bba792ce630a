"""What tests of bad input share: a finished run, configurations, and what a refusal is."""

import hashlib

import numpy as np
import tiny
import yaml
from PIL import Image

from lit_synth.cli import main

# Nine times nine times ... nine values, by aliases.
BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
SHAPE = {"image_size": 16, "batch_size": 4}


def write_config(folder, name="wgan_gp", **changes):
    """Copy a file of tests/conf with other model arguments and data."""
    settings = yaml.safe_load((tiny.CONF / f"{name}.yaml").read_text())
    settings |= {
        "evaluate": {"every_n_iterations": None},
        "samples": {"every_n_iterations": None},
    }
    settings["model"]["init_args"] |= changes.get("model", {})
    settings["data"] = changes.get("data", settings["data"])
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def digests(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refused(capsys, *argv, lines=1):
    """Run a command that must fail with one sentence, and return what it printed last.

    Args:
        capsys: Of the test.
        argv: The command.
        lines: Of the sentence: more than one where it lists files.
    """
    capsys.readouterr()
    code = main([str(argument) for argument in argv])
    err = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in err
    sentences = [line for line in err.splitlines() if line.startswith("lit-synth: ")]
    assert len(sentences) == 1
    last = err.rstrip().splitlines()[-lines:]
    assert last[0] == sentences[0]
    return " ".join(last).removeprefix("lit-synth: ")


def fit(config, *argv):
    return ["fit", "--config", config, *argv]


def unconditional(root, **changes):
    return {
        "class_path": "Unconditional",
        "init_args": {"root": str(root), "channels": 1, **SHAPE, **changes},
    }


def write_images(folder, n=8, mode="L"):
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for i in range(n):
        shape = (16, 16) if mode == "L" else (16, 16, 3)
        pixels = rng.integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{mode}{i}.png")
    return folder


# Sources.
