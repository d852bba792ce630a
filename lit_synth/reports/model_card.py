"""What a release's card says besides how it was trained: looks, data, licence, how to load it."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from lit_synth.contracts.classifier import Classifier
from lit_synth.contracts.data import HasSplits, TranslationData
from lit_synth.contracts.translator import Translator
from lit_synth.method import Method
from lit_synth.metrics.meanings import meaning

PICTURE = "sample.png"
NOT_STATED = "not stated"
_LICENCE = re.compile(r"^[>\s]*licen[cs]e:\s*(.+)$", re.IGNORECASE | re.MULTILINE)
_LOAD = """
from lit_synth.inference.loading import load_method

method = load_method("FOLDER")  # the folder of this card
"""
_DRAW = f"""
import torch
from lit_synth.inference.ask import draw
{_LOAD.lstrip()}\
images = draw(method, method.prior(4, torch.Generator().manual_seed(0)))  # (4, C, H, W), [-1, 1]
"""
_TRANSLATE = f"""
from lit_synth.inference.ask import translate
{_LOAD.lstrip()}\
way = method.translations()[0]  # %s
given = {{name: x[name] for name in way.sources}}  # each (N, C, H, W)
made = translate(method, given, way)
"""


def completed(text: str, method: Method, data: object, samples: Path, release: Path) -> str:
    """Return a card with the run's last picture, its data, licences and loading code.

    Args:
        text: The card so far; `Licence: ...` in it is a statement of something it was made from.
        method: What is released.
        data: What it was trained on.
        samples: Where the run's pictures are; the last one is copied into the release.
        release: The folder of the release, made if missing.
    """
    title, _, rest = text.partition("\n")
    return "\n".join(
        [
            title,
            *_picture(samples, release),
            rest.rstrip(),
            "",
            "## Data",
            "",
            *(f"- {line}" for line in _described(data)),
            "",
            *(f"Licence: {each}" for each in licences(text) or [NOT_STATED]),
            "",
            "## Use it from Python",
            "",
            "```python",
            _code(method).strip(),
            "```",
            "",
        ]
    )


def licences(text: str) -> list[str]:
    """Return the licences that a card states, each once."""
    return [each for each in dict.fromkeys(_LICENCE.findall(text)) if each != NOT_STATED]


def measured(values: Mapping[str, float]) -> list[str]:
    """Return a line for each metric, with what it says and which way is better."""
    return [f"- {name}: {value:.4g}{_explained(name)}" for name, value in values.items()]


def _explained(name: str) -> str:
    found = meaning(name)
    return f" {found.better} ({found.sentence})".replace("  ", " ") if found else ""


def _described(data: object) -> list[str]:
    """Return what data is called, and the number and the hash of each set of training images."""
    lines = [type(data).__name__]
    if isinstance(data, TranslationData):
        for name, modalities in data.sets.items():
            scenes = data.training_set(name)
            what = f"{len(scenes)} of {', '.join(modalities)}"
            lines.append(f"{name}: {what} ({scenes.sha256[:12]})")
    elif isinstance(data, HasSplits) and data.has_split("train"):
        images = data.split("train")
        lines.append(f"train: {len(images)} images ({images.sha256[:12]})")
    return lines


def _picture(samples: Path, release: Path) -> list[str]:
    grids = sorted(samples.glob("[0-9]*.png"))
    if not grids:
        return []
    release.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(grids[-1], release / PICTURE)
    return ["", f"![What it makes]({PICTURE})"]


def _code(method: Method) -> str:
    if isinstance(method, Translator):
        return _TRANSLATE % method.translations()[0].name
    return _LOAD if isinstance(method, Classifier) else _DRAW
