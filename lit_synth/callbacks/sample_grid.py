"""The same latents as images, over and over in training: what the eye judges progress by."""

import math
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from torch import Tensor

from lit_synth.batches.labels import ATTRIBUTES
from lit_synth.callbacks.ema import averaged_weights
from lit_synth.callbacks.trainer_queries import check_period, data_of, due
from lit_synth.contracts.data import (
    Batch,
    HasImageSize,
    HasSplits,
    Images,
    TranslationData,
    split_of,
    translation_data,
)
from lit_synth.contracts.generator import HasLayouts
from lit_synth.contracts.translator import (
    HasAttention,
    HasStyles,
    TakesReferences,
    Translator,
)
from lit_synth.errors import InputError
from lit_synth.inference.ask import draw
from lit_synth.inference.inputs import inputs
from lit_synth.inference.loading import load_method
from lit_synth.method import Method
from lit_synth.pictures.grid import grid, png
from lit_synth.pictures.layouts import layout_columns
from lit_synth.pictures.people import people_columns
from lit_synth.pictures.sheet import sheet
from lit_synth.pictures.styles import style_columns
from lit_synth.pictures.translations import columns, truths
from lit_synth.runs.files import write_atomically, writing
from lit_synth.runs.loggers import log_picture
from lit_synth.tensors.pixels import middle

MOST_SCENES = 8  # in a grid of translations


class SampleGrid(pl.Callback):
    """Write `samples/<iteration>.png` from fixed latents, and once `samples/real.png` beside them.

    The first grid shows iteration 0 and the last one the end. A method with classes has a class in
    each row. Methods that translate start from the first validation images.

    A method that translates between modalities has a scene in each row, of those that are evenly
    spaced over the validation scenes, and a column for each modality that is given, for each
    translation (those seen in training first), and for the truth; `real.png` is the truth alone.
    Where modalities do not show the same scenes, each translation stands beside its source.

    Of a method that rearranges layouts a grid has a row for each layout, at most 8, and a column
    for each style.

    A method that takes the style from images of people has these beside the masks, and a line of
    what lies between the person of each row and that of the next.

    A method with styles has a column for each of them, the same for all scenes and all along, and
    one for its attention, if it has any: over the input in grey, red where little may change and
    yellow where much may. What other runs make of the same inputs, in the same styles, can stand
    beside it.

    Args:
        every_n_iterations: How often; None: never.
        n: Number of images in a grid, made in one batch; of translations, of scenes, at most 8.
        seed: Seeds the latents, or the styles.
        styles: Number of styles of each translation.
        beside: Heading -> release folder of a run whose translations are shown too.
    """

    def __init__(
        self,
        every_n_iterations: int | None = 1000,
        n: int = 64,
        seed: int = 0,
        styles: int = 4,
        beside: dict[str, str] | None = None,
    ) -> None:
        check_period("samples.every_n_iterations", every_n_iterations)
        for name, number in (("n", n), ("styles", styles)):
            if number < 1:
                raise InputError(f"samples.{name} is {number}: expected at least 1.")
        self.every_n_iterations, self.n, self.seed = every_n_iterations, n, seed
        self.styles, self.beside = styles, beside or {}
        self._others: list[tuple[str, Translator]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.every_n_iterations is None or not trainer.is_global_zero:
            return
        method, folder = cast("Method", pl_module), samples_folder(trainer)
        self._others = [
            (name, _other(name, release, method)) for name, release in self.beside.items()
        ]
        if not (folder / "real.png").is_file():
            _write(folder / "real.png", png(self._real(trainer, method)))
        if method.iteration == 0:
            self._sample(trainer, method)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any
    ) -> None:
        method = cast("Method", pl_module)
        if due(self.every_n_iterations, method) and trainer.is_global_zero:
            self._sample(trainer, method)

    def _real(self, trainer: pl.Trainer, method: Method) -> Tensor:
        if isinstance(method, Translator):
            data = translation_data(data_of(trainer))
            return sheet(truths(data, _scenes(data, self.n)[0]))
        real = _reference(trainer)
        images = real.fetch(range(min(self.n, len(real))))["image"]
        return grid(images, _columns(self.n))

    def _sample(self, trainer: pl.Trainer, method: Method) -> None:
        with averaged_weights(trainer, method):
            pixels = self._made(trainer, method)
        file = png(pixels)
        _write(samples_folder(trainer) / f"{method.iteration:08d}.png", file)
        log_picture(trainer.loggers, "samples", pixels, file, method.iteration)

    def _made(self, trainer: pl.Trainer, method: Method) -> Tensor:
        if isinstance(method, Translator):
            data = translation_data(data_of(trainer))
            x, aligned = _scenes(data, self.n)
            x = {name: value.to(method.device) for name, value in x.items()}
            methods = [(type(method).__name__, method), *self._others]
            if isinstance(method, TakesReferences):
                return sheet(people_columns(methods, data, x, aligned))
            if not self._others and not isinstance(method, HasStyles | HasAttention):
                return sheet(columns(method, data, x, method.translations(), aligned))
            return sheet(style_columns(methods, data, x, self.styles, self.seed, aligned))
        if isinstance(method, HasLayouts):
            n = min(self.n, MOST_SCENES)
            return sheet(layout_columns(method, n, self.styles, self.seed))
        prior = method.prior(self.n, torch.Generator().manual_seed(self.seed))
        n_columns = _columns(self.n)
        if "label" in prior:
            prior, n_columns = _classes_in_rows(prior)
        return grid(draw(method, inputs(method, _reference(trainer), prior)), n_columns)


def _other(name: str, release: str, method: Method) -> Translator:
    """Return the method of another run, to be shown beside a run's own."""
    other = load_method(release).to(method.device)
    if not isinstance(other, Translator) or not isinstance(method, Translator):
        raise InputError(
            f"samples.beside.{name}: {type(other).__name__} cannot stand beside "
            f"{type(method).__name__}: both have to be methods that translate."
        )
    if not set(other.translations()) & set(method.translations()):
        raise InputError(
            f"samples.beside.{name}: {type(other).__name__} makes none of the translations of "
            f"{type(method).__name__}, such as {method.translations()[0].name}."
        )
    return other


def samples_folder(trainer: pl.Trainer) -> Path:
    """Return where the grids of the run are."""
    return Path(trainer.default_root_dir) / "samples"


def _reference(trainer: pl.Trainer) -> Images:
    data = data_of(trainer)
    held_out = isinstance(data, HasSplits) and data.has_split("val")
    return split_of(data, "val" if held_out else "train")


def _scenes(data: TranslationData, n: int) -> tuple[Batch, bool]:
    """Return scenes to translate, and whether their modalities belong together.

    Without a validation split, each modality comes from the first training set that has it, its
    middle where training crops at random.
    """
    if data.has_split("val"):
        scenes = data.split("val")
        n = min(n, MOST_SCENES, len(scenes))
        return scenes.fetch([index * len(scenes) // n for index in range(n)]), data.aligned
    x: Batch = {}
    n = min(n, MOST_SCENES, *(len(data.training_set(name)) for name in data.sets))
    for name, modalities in data.sets.items():
        found = data.training_set(name).fetch(range(n))
        for modality in modalities:
            pictures = found[modality]
            if isinstance(data, HasImageSize):
                pictures = middle(pictures, data.image_size)
            x.setdefault(modality, pictures)
        if ATTRIBUTES in found:
            x[ATTRIBUTES] = found[ATTRIBUTES]
    return x, False


def _columns(n: int) -> int:
    return math.ceil(math.sqrt(n))


def _classes_in_rows(prior: Batch) -> tuple[Batch, int]:
    """Give each class that was drawn a row of its own; return the prior and the row's length."""
    n = len(prior["label"])
    classes = torch.unique(prior["label"])
    columns = n // len(classes)
    label = classes.repeat_interleave(columns)
    return {**{name: draws[: len(label)] for name, draws in prior.items()}, "label": label}, columns


def _write(path: Path, file: bytes) -> None:
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, file)
