"""The verb `predict` for methods that translate: what to translate, and where from."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytorch_lightning as pl
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules.decoding import Resize
from datamodules.modality_files import write_modality
from datamodules.translation import TranslationData
from datamodules.unpaired import read_folder
from lit_synth.callbacks.context import Batch, Scenes
from lit_synth.callbacks.drawing import translate
from lit_synth.callbacks.predictions import TranslationWriter
from lit_synth.callbacks.translation_grid import preview
from lit_synth.errors import InputError
from lit_synth.translation import Translation, Translator

AT_ONCE = 32  # scenes translated together


class Asked(Protocol):
    """What the command line says of translations."""

    source: str | None
    target: str | None
    via: str | None
    input: str | None
    n_images: int | None


class Job(NamedTuple):
    """A translation of scenes.

    Attributes:
        translation: From the sources to the target, over all steps.
        steps: What the method does one after the other.
        scenes: What is translated.
        names: Of the scenes.
        keep: Modalities that are fetched: the sources and, where it is known, the target.
    """

    translation: Translation
    steps: list[Translation]
    scenes: Scenes
    names: list[str]
    keep: list[str]


def prepare(method: Translator, data: pl.LightningDataModule, asked: Asked) -> Job:
    """Find out what is to be translated; InputError or DataError if it cannot be."""
    if not isinstance(data, TranslationData):
        raise InputError(
            f"the method translates between modalities, but the data {type(data).__name__} has "
            "none: give a data module of several modalities."
        )
    translation = choose(method, data, asked)
    steps = steps_of(method, translation)
    if asked.input is not None:
        modalities = {name: data.modalities[name] for name in translation.sources}
        resize: Resize = getattr(data, "resize", "crop")
        scenes = read_folder(Path(asked.input), modalities, _size(data), resize)
        return Job(translation, steps, scenes, scenes.ids, list(translation.sources))
    if not data.has_split("test"):
        raise InputError("the data has no test split to translate: name a folder with --input.")
    split = data.split("test")
    n = len(split) if asked.n_images is None else min(asked.n_images, len(split))
    known = [translation.target] if data.aligned else []
    keep = list(dict.fromkeys([*translation.sources, *known]))
    return Job(translation, steps, split, [f"{index:06d}" for index in range(n)], keep)


def _size(data: TranslationData) -> int:
    """Return the side of the pictures of a data module in pixels."""
    size: int | None = getattr(data, "image_size", None)
    return size or data.split("test").fetch([0])[next(iter(data.modalities))].shape[-1]


def choose(method: Translator, data: TranslationData, asked: Asked) -> Translation:
    """Return the translation asked for; of methods on images alone the first, if none is."""
    offered = method.translations()
    if asked.source is None and asked.target is None and asked.via is None:
        first = offered[0]
        kinds = {data.modalities[name].kind for name in (*first.sources, *first.route)}
        if kinds == {"image"}:
            return first
    known = list(dict.fromkeys(name for each in offered for name in (*each.sources, *each.route)))
    if asked.source is None or asked.target is None:
        raise InputError(
            f"say what to translate with --source and --target: the method has {', '.join(known)}."
        )
    sources, via = asked.source.split(","), asked.via.split(",") if asked.via else []
    for name in (*sources, *via, asked.target):
        if name not in known:
            raise InputError(
                f"there is no modality '{name}' to translate: the method has {', '.join(known)}."
            )
    return Translation(tuple(sources), (*via, asked.target))


def steps_of(method: Translator, translation: Translation) -> list[Translation]:
    """Return a translation that the method offers, or the offered ones that make it up."""
    offered = method.translations()
    if translation in offered:
        return [translation]
    first = Translation(translation.sources, translation.route[:1])
    steps = [first, *(Translation((start,), (end,)) for start, end in pairwise(translation.route))]
    for step in steps:
        if step not in offered:
            raise InputError(
                f"the method does not translate {step.name}: it offers "
                f"{', '.join(each.name for each in offered)}."
            )
    return steps


def writer(job: Job, data: TranslationData, out: Path) -> TranslationWriter:
    """Return the callback that writes the translations of a job."""
    modality = data.modalities[job.translation.target]
    return TranslationWriter(
        out,
        job.names,
        write=lambda path, made: write_modality(path, modality, made),
        preview=partial(preview, data, translation=job.translation),
        facts={"translation": job.translation.name},
    )


def run(trainer: pl.Trainer, method: pl.LightningModule, job: Job, ckpt_path: Path) -> None:
    """Translate a job's scenes with the weights of a checkpoint; the writer is a callback."""
    assert isinstance(method, Translator), "prepared by the caller"
    # Lightning asks the module itself, whose own step is the method's first translation.
    method.predict_step = partial(_translate, method, job.steps)  # type: ignore[method-assign]
    loader = DataLoader(_Scenes(job), batch_size=None)
    trainer.predict(method, loader, ckpt_path=ckpt_path, return_predictions=False)


def _translate(method: Translator, steps: Sequence[Translation], x: Batch, *_: Any) -> Tensor:
    made = translate(method, x, steps[0])
    for before, step in pairwise(steps):
        made = translate(method, {before.target: made}, step)
    return made


class _Scenes(IterableDataset[Batch]):
    """The scenes of a job in batches."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.job.names)
        for start in range(0, n, AT_ONCE):
            x = self.job.scenes.fetch(range(start, min(start + AT_ONCE, n)))
            yield {name: x[name] for name in self.job.keep}
