"""The contract with Lightning: what we touch of its insides, in the versions that we name."""

import ast
import inspect
import os
import re
from pathlib import Path

import pytorch_lightning as pl
import torch
from pytorch_lightning.cli import LightningCLI
from pytorch_lightning.profilers import SimpleProfiler

from lit_synth.runs import lightning_internals
from lit_synth.runs.lightning_internals import HOLDS_FOR, lighten, missing

ROOT = Path(__file__).parents[2]
INSIDE = re.compile(r"_\w+_connector|_ProcessedTracker|_lightning_optimizers|batch_progress")


def trainer():
    return pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )


def test_the_contract_holds_for_this_version_of_lightning():
    version = pl.__version__
    assert version.startswith(tuple(f"{each}." for each in HOLDS_FOR)), (
        f"pytorch-lightning is {version}, but lit_synth/runs/lightning_internals.py holds for "
        f"{', '.join(HOLDS_FOR)}: read what has changed, then name the version there."
    )
    assert missing(trainer()) == []
    for hook in ("_run_subcommand", "_parse_ckpt_path", "_dump_config"):
        assert inspect.isfunction(getattr(LightningCLI, hook, None)), f"LightningCLI.{hook} is gone"


def test_an_attribute_that_is_gone_is_named():
    without = trainer()
    del without._checkpoint_connector
    assert missing(without) == ["Trainer._checkpoint_connector.dump_checkpoint"]


def test_a_run_pays_for_no_profiler_and_no_search_for_gpus(monkeypatch):
    monkeypatch.setenv("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    light = trainer()
    lighten(light)
    first, second = light.profiler.profile("a step"), light.profiler.profile("another")
    with first, second:
        assert first is second
    assert os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] == "0"


def test_a_profiler_that_was_asked_for_stays():
    asked = pl.Trainer(accelerator="cpu", logger=False, profiler="simple")
    lighten(asked)
    assert isinstance(asked.profiler, SimpleProfiler)


def test_no_other_file_touches_them():
    own = Path(lightning_internals.__file__)
    files = [path for package in ("lit_synth", "datamodules") for path in
             (ROOT / package).rglob("*.py")]  # fmt: skip
    names = {
        path.relative_to(ROOT).as_posix()
        for path in files
        if path != own
        for node in ast.walk(ast.parse(path.read_text()))
        if INSIDE.fullmatch(getattr(node, "attr", None) or getattr(node, "id", None) or "")
    }
    assert names == {"datamodules/items/stream.py"}
