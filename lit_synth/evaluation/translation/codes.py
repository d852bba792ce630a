"""What the codes of styles are worth: images in their own style, order, and how they are drawn."""

import torch
from torch import Tensor

from lit_synth.contracts.data import HasStyleTruth, TranslationData
from lit_synth.contracts.translator import HasStyles, MakesStyles, ReadsStyles, Translator
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation.batch_norm import device_of
from lit_synth.evaluation.translation.tally import meter_of
from lit_synth.inference.ask import read_styles, translate
from lit_synth.inference.styles import STYLE, fixed_styles
from lit_synth.metrics.codes import distance_spearman, off_and_cover

FEWEST = 3  # images, of which distances can be ordered


def measure_codes(
    method: Translator, data: TranslationData, split: str, settings: EvaluationSettings
) -> dict[str, float]:
    """Return what is measured where a method reads styles off images that belong to others.

    `own/<metric>` compares what is made in an image's own style with it. `codes/<name>_spearman`
    compares distances of codes with those of the truth, where the data knows it. `codes/drawn_off`
    and `codes/drawn_cover` tell of styles that are drawn, and `independent_...` of those whose
    coordinates are drawn by themselves, where a method makes its styles.
    """
    ways = method.translations()
    reads = isinstance(method, ReadsStyles) and isinstance(method, HasStyles) and len(ways) == 1
    if not (reads and data.aligned and data.modalities[ways[0].target].kind == "image"):
        return {}
    assert isinstance(method, ReadsStyles)
    assert isinstance(method, HasStyles)
    (way,), scenes = ways, data.split(split)
    meter, codes, truth = meter_of(data.modalities[way.target]), [], {}
    n = min(len(scenes), settings.n_fake)
    for start in range(0, n, settings.batch_size):
        fetched = scenes.fetch(range(start, min(start + settings.batch_size, n)))
        x = {name: value.to(device_of(method)) for name, value in fetched.items()}
        code = read_styles(method, x[way.target], way.target)
        made = translate(method, {**x, STYLE: code}, way)
        meter.update(made.cpu(), fetched[way.target])
        codes.append(code.float().cpu())
        if isinstance(data, HasStyleTruth):
            for name, points in data.style_truth(fetched).items():
                truth.setdefault(name, []).append(points)
    values = {f"own/{name}": value for name, value in meter.values().items()}
    if n >= FEWEST:
        values |= _of_codes(method, torch.cat(codes), truth, settings.seed)
    return values


def _of_codes(
    method: HasStyles, codes: Tensor, truth: dict[str, list[Tensor]], seed: int
) -> dict[str, float]:
    values = {
        f"codes/{name}_spearman": distance_spearman(codes, torch.cat(parts))
        for name, parts in truth.items()
    }
    if isinstance(method, MakesStyles):
        noise = fixed_styles(len(codes), method.style_dim, seed)
        drawn = {"drawn": method.styles_of, "independent": method.independent_styles_of}
        for name, draw in drawn.items():
            shares = off_and_cover(draw(noise).float().cpu(), codes)
            values |= zip((f"codes/{name}_off", f"codes/{name}_cover"), shares, strict=True)
    return values
