"""Generated images as files, for the verb `predict`."""

import json
import os
import re
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from lit_synth import runs
from lit_synth.callbacks.drawing import png
from lit_synth.errors import InputError
from lit_synth.features.hashing import as_uint8

MARK = ".predictions.json"  # says that the folder is ours, and which images it holds
THREADS = 8


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
            with runs.writing(self.out):
                self._claim()

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._count, self._writing = 0, []

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
        with runs.writing(self.out):
            for each in self._writing:
                each.result()
            facts = {
                "images": self._count,
                "method": type(pl_module).__name__,
                "checkpoint": str(trainer.ckpt_path) if trainer.ckpt_path else None,
            }
            runs.write_atomically(self.out / MARK, json.dumps(facts, indent=2).encode())
        print(f"{self._count} images in {self.out}")

    def _claim(self) -> None:
        """Make the folder, and remove the images of an earlier prediction from it."""
        self.out.mkdir(parents=True, exist_ok=True)
        ours = (self.out / MARK).is_file()
        if not ours and not self.overwrite and any(self.out.iterdir()):
            raise InputError(
                f"{self.out} is not empty, and what it holds was not written by `predict`: give "
                "another folder with --out."
            )
        if ours:
            for path in self.out.iterdir():
                if re.fullmatch(r"\d{6,}\.png", path.name):
                    path.unlink()
        runs.write_atomically(self.out / MARK, b"{}")


def _write(path: Path, pixels: Tensor) -> None:
    """Write one image whole or not at all, without waiting for the disk."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(png(pixels))
    os.replace(partial, path)
