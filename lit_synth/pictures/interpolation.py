"""The way from one style to another, as a strip of pictures and as a moving one."""

import io
from pathlib import Path

import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lit_synth.contracts.data import Batch, TranslationData
from lit_synth.contracts.translator import Translation
from lit_synth.pictures.colours import coloured
from lit_synth.pictures.grid import png
from lit_synth.pictures.sheet import tile_factor
from lit_synth.pictures.translations import preview
from lit_synth.runs.files import write_atomically

FRAME_MS = 100


def write_interpolation(
    path: Path,
    x: Batch,
    made: Tensor,
    data: TranslationData,
    translation: Translation,
    labels: list[str],
) -> None:
    """Write `<path>_interpolation.png`, and `.gif`, which goes there and back.

    Args:
        path: Path of both files, without their endings.
        x: A scene, modality -> data without the batch.
        made: Its results (S, ...), from the first style to the second.
        data: Data module that says what the modalities are.
        translation: The translation that was asked for.
        labels: Labels of the results.
    """
    scene = {name: x[name][None] for name in data.modalities if name in x}
    strip = preview(data, scene, made[None], translation, labels)
    pictures = coloured(made, data.modalities[translation.target], None)
    for ending, file in (("png", png(strip)), ("gif", gif(pictures))):
        write_atomically(path.with_name(f"{path.name}_interpolation.{ending}"), file)


def gif(pictures: Tensor) -> bytes:
    """Return pictures (S, 3, H, W), uint8, as a GIF that plays there and back, on and on.

    Small ones are enlarged like those of a grid.
    """
    factor = tile_factor(pictures.shape[-1])
    frames = F.interpolate(pictures, scale_factor=factor, mode="nearest").permute(0, 2, 3, 1)
    there = [Image.fromarray(frame.numpy()) for frame in frames]
    file = io.BytesIO()
    there[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=[*there[1:], *there[-2:0:-1]],
        duration=FRAME_MS,
        loop=0,
    )
    return file.getvalue()
