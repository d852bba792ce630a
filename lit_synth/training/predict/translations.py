"""The verb `predict` for methods that translate: what to translate, and where from."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from datamodules.base.person_data import PersonData
from datamodules.base.translation_data import TranslationData
from datamodules.files.decoding import Resize, Size
from datamodules.files.modalities import write_modality
from datamodules.unpaired import read_folder
from lit_synth.batches.labels import ATTRIBUTES, HasLabels, check_data
from lit_synth.callbacks.prediction_writers import TranslationWriter
from lit_synth.contracts.data import Batch, Scenes
from lit_synth.contracts.translator import TakesReferences, Translation, Translator
from lit_synth.errors import InputError
from lit_synth.inference.ask import translate
from lit_synth.pictures.interpolation import write_interpolation
from lit_synth.pictures.translations import preview
from lit_synth.training.predict.people import PeopleChoice, choose_people
from lit_synth.training.predict.styles import STYLE, AskedStyles, StyleChoice, choose_styles

AT_ONCE = 32  # scenes translated together


class Asked(AskedStyles, Protocol):
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
        keep: What is fetched: the sources and, where they are known, the target and the labels.
        styles: In which each scene is translated.
    """

    translation: Translation
    steps: list[Translation]
    scenes: Scenes
    names: list[str]
    keep: list[str]
    styles: StyleChoice | PeopleChoice


def prepare(method: Translator, data: pl.LightningDataModule, asked: Asked) -> Job:
    """Find out what is to be translated; InputError or DataError if it cannot be."""
    if not isinstance(data, TranslationData):
        raise InputError(
            f"the method translates between modalities, but the data {type(data).__name__} has "
            "none: give a data module of several modalities."
        )
    if isinstance(method, HasLabels):
        check_data(method, data)
    translation = choose(method, data, asked)
    steps, size = steps_of(method, translation), _size(data)
    resize: Resize = getattr(data, "resize", "crop")
    target = data.modalities[translation.target]
    styles: StyleChoice | PeopleChoice
    if isinstance(method, TakesReferences):
        styles = choose_people(method, asked, target, size, resize)
    else:
        styles = choose_styles(method, translation.target, asked, target, size, resize)
    if asked.input is not None:
        modalities = {name: data.modalities[name] for name in translation.sources}
        scenes = read_folder(Path(asked.input), modalities, size, resize)
        return Job(translation, steps, scenes, scenes.ids, list(translation.sources), styles)
    if not data.has_split("test"):
        raise InputError("the data has no test split to translate: name a folder with --input.")
    split = data.split("test")
    n = len(split) if asked.n_images is None else min(asked.n_images, len(split))
    known = [translation.target] if data.aligned else []
    keep = list(dict.fromkeys([*translation.sources, *known, ATTRIBUTES]))
    if isinstance(styles, PeopleChoice) and not styles.people:
        keep.append(styles.references)
    return Job(translation, steps, split, [f"{index:06d}" for index in range(n)], keep, styles)


def _size(data: TranslationData) -> Size:
    """Return the side of the pictures of a data module in pixels, or their height and width."""
    if isinstance(data, PersonData):
        return data.size
    for knows in (data, getattr(data, "source", None)):
        size: int | None = getattr(knows, "image_size", None)
        if size is not None:
            return size
    return data.split("test").fetch([0])[next(iter(data.modalities))].shape[-1]


def choose(method: Translator, data: TranslationData, asked: Asked) -> Translation:
    """Return the translation asked for.

    Of methods on images alone, or with one translation, the first one, if none is asked for; and
    a source or a target is enough where only one translation has it.
    """
    offered = method.translations()
    known = list(dict.fromkeys(name for each in offered for name in (*each.sources, *each.route)))
    if not set(known) <= set(data.modalities):
        raise InputError(
            f"the method translates between {', '.join(known)}, but the data has "
            f"{', '.join(data.modalities)}: give both the same modalities."
        )
    sources = tuple(asked.source.split(",")) if asked.source else ()
    via = tuple(asked.via.split(",")) if asked.via else ()
    for name in (*sources, *via, asked.target):
        if name is not None and name not in known:
            raise InputError(
                f"there is no modality '{name}' to translate: the method has {', '.join(known)}."
            )
    if sources and asked.target:
        return Translation(sources, (*via, asked.target))
    of_images = {data.modalities[name].kind for name in known} == {"image"}
    if not via and (of_images or len(offered) == 1):
        fitting = [
            each
            for each in offered
            if sources in ((), each.sources) and asked.target in (None, each.target)
        ]
        if len(fitting) == 1 or (not sources and asked.target is None):
            return fitting[0]
    raise InputError(
        f"say what to translate with --source and --target: the method has {', '.join(known)}."
    )


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
    modality, labels = data.modalities[job.translation.target], job.styles.labels
    show = partial(preview, data, translation=job.translation, labels=labels)

    def write(path: Path, _: Batch, made: Tensor) -> None:
        for ending, result in zip(job.styles.endings, made, strict=True):
            write_modality(path.with_name(path.name + ending), modality, result)

    if job.styles.steps is not None:
        write = partial(write_interpolation, data=data, translation=job.translation, labels=labels)
    facts = {"translation": job.translation.name, "styles": labels if any(labels) else None}
    return TranslationWriter(out, job.names, write, show, facts, job.styles.endings)


def run(trainer: pl.Trainer, method: pl.LightningModule, job: Job, ckpt_path: Path) -> None:
    """Translate a job's scenes with the weights of a checkpoint; the writer is a callback."""
    assert isinstance(method, Translator), "prepared by the caller"
    # Lightning asks the module itself, whose own step is the method's first translation.
    method.predict_step = partial(_translate, method, job)  # type: ignore[method-assign]
    loader = DataLoader(_Scenes(job), batch_size=None)
    trainer.predict(method, loader, ckpt_path=ckpt_path, return_predictions=False)


def _translate(method: Translator, job: Job, x: Batch, *_: Any) -> Tensor:
    """Return all results (N, S, ...) of scenes."""
    return torch.stack([_chain(method, job.steps, each) for each in job.styles.of(method, x)], 1)


def _chain(method: Translator, steps: list[Translation], x: Batch) -> Tensor:
    made = translate(method, x, steps[0])
    style = {STYLE: x[STYLE]} if STYLE in x else {}
    for before, step in pairwise(steps):
        made = translate(method, {before.target: made, **style}, step)
    return made


class _Scenes(IterableDataset[Batch]):
    """The scenes of a job in batches."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.job.names)
        for start in range(0, n, AT_ONCE):
            positions = range(start, min(start + AT_ONCE, n))
            x = self.job.scenes.fetch(positions)
            kept = {name: x[name] for name in self.job.keep if name in x}
            yield {**kept, **self.job.styles.drawn(positions)}
