"""Generated images and translations as files, for the verb `predict`."""

import json
import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lit_synth.contracts.data import Batch
from lit_synth.errors import InputError
from lit_synth.pictures.grid import png
from lit_synth.runs.files import write_atomically, writing
from lit_synth.tensors.pixels import as_uint8

MARK = ".predictions.json"  # says that the folder is ours, and what it holds
PREVIEW = "preview"
SUFFIXES = (".png", ".npy", ".gif")  # of written translations
THREADS = 8

Write = Callable[[Path, Batch, Tensor], None]
Preview = Callable[[Batch, Tensor], Tensor]


class ImageWriter(pl.Callback):
    """Write what `predict` generates as `<out>/000000.png`, `000001.png`, ...

    The images of an earlier `predict` in the same folder are replaced as a whole. With several
    processes, which generate the same, the first one writes.

    Args:
        out: The folder.
        overwrite: Write into a folder that holds something else, over files of the same name?
    """

    def __init__(self, out: str | Path, overwrite: bool = False) -> None:
        self.out, self.overwrite = Path(out), overwrite
        self._count = 0
        self._pool = ThreadPoolExecutor(THREADS)
        self._writing: list[Future[None]] = []

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "predict" and trainer.is_global_zero:
            with writing(self.out):
                _refuse_foreign(self.out, self.overwrite)

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._count, self._writing = 0, []
        if trainer.is_global_zero:  # not in `setup`: the checkpoint may yet be refused
            with writing(self.out):
                _claim(self.out, self.overwrite)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor,
        *_: Any,
    ) -> None:
        if not trainer.is_global_zero:
            return
        if not torch.isfinite(outputs).all():
            raise InputError(
                "the generated images are not finite (NaN or infinite): predict from an earlier "
                "checkpoint with --ckpt_path."
            )
        for pixels in as_uint8(outputs).cpu():
            path = self.out / f"{self._count:06d}.png"
            self._writing.append(self._pool.submit(_write, path, pixels))
            self._count += 1

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        with writing(self.out):
            for each in self._writing:
                each.result()
            _mark(self.out, trainer, pl_module, images=self._count)
        print(f"{self._count} images in {self.out}")


class TranslationWriter(pl.Callback):
    """Write the translations of `predict` under the names of what was translated.

    A `preview.png` shows the first ones. What an earlier `predict` wrote into the same folder is
    replaced as a whole; with several processes, which translate the same, the first one writes.

    Args:
        out: The folder.
        names: Of the scenes, in the order in which they are translated.
        write: Writes all results (S, ...) of a scene, modality -> data without the batch, to files
            whose names begin with a path.
        preview: Draws the first batch: what was given, what was made of it, (N, S, ...) -> pixels
            (3, H, W).
        facts: What else is kept with the files, in JSON values.
        endings: What follows the name of a scene in the names of its files.
    """

    def __init__(
        self,
        out: str | Path,
        names: Sequence[str],
        write: Write,
        preview: Preview,
        facts: dict[str, Any],
        endings: Sequence[str] = ("",),
    ) -> None:
        self.out, self.names = Path(out), list(names)
        self.write, self.preview, self.facts = write, preview, facts
        self.files = [f"{name}{ending}" for name in names for ending in endings]
        self._count = 0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "predict" and trainer.is_global_zero:
            with writing(self.out):
                _refuse_foreign(self.out, overwrite=False)

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._count = 0
        if trainer.is_global_zero:  # not in `setup`: the checkpoint may yet be refused
            with writing(self.out):
                _claim(self.out, overwrite=False, names=self.files)

    def on_predict_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Tensor,
        batch: Batch,
        *_: Any,
    ) -> None:
        if not trainer.is_global_zero:
            return
        with writing(self.out):
            if self._count == 0 and PREVIEW not in self.files:
                pixels = self.preview(batch, outputs)
                write_atomically(self.out / f"{PREVIEW}.png", png(pixels))
            for number, made in enumerate(outputs):
                x = {name: each[number] for name, each in batch.items()}
                self.write(self.out / self.names[self._count], x, made)
                self._count += 1

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        with writing(self.out):
            _mark(self.out, trainer, pl_module, names=self.files, **self.facts)
        print(f"{len(self.files)} translations in {self.out}")


def _refuse_foreign(out: Path, overwrite: bool) -> bool:
    """Make the folder; InputError if it holds what is not ours. Return whether it is ours."""
    out.mkdir(parents=True, exist_ok=True)
    ours = (out / MARK).is_file()
    if not ours and not overwrite and any(out.iterdir()):
        raise InputError(
            f"{out} is not empty, and what it holds was not written by `predict`: give "
            "another folder with --out."
        )
    return ours


def _claim(out: Path, overwrite: bool, names: Sequence[str] = ()) -> None:
    """Remove what an earlier prediction wrote from the folder, and note what will be there."""
    ours = _refuse_foreign(out, overwrite)
    if ours:
        written = json.loads((out / MARK).read_text()).get("names", [])
        for name in [*written, PREVIEW] if written else []:
            for suffix in SUFFIXES:
                (out / f"{name}{suffix}").unlink(missing_ok=True)
        for path in out.iterdir():
            if re.fullmatch(r"\d{6,}\.png", path.name):
                path.unlink()
    write_atomically(out / MARK, json.dumps({"names": list(names)}).encode())


def _mark(out: Path, trainer: pl.Trainer, pl_module: pl.LightningModule, **facts: Any) -> None:
    facts |= {
        "method": type(pl_module).__name__,
        "checkpoint": str(trainer.ckpt_path) if trainer.ckpt_path else None,
    }
    write_atomically(out / MARK, json.dumps(facts, indent=2).encode())


def _write(path: Path, pixels: Tensor) -> None:
    """Write one image whole or not at all, without waiting for the disk."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(png(pixels))
    os.replace(partial, path)
