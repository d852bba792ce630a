"""Sample grids: when, of which latents, in which layout."""

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torchvision.transforms.functional import pil_to_tensor
from toy_run import SIZE, ToyConditionalGAN, ToyData, ToyGAN, fit

from lit_synth.callbacks.ema import EMA
from lit_synth.callbacks.sample_grid import SampleGrid
from lit_synth.errors import InputError


def tiles(path, columns):
    """Return the centre values (rows, columns) of a grid's tiles, and the whole picture."""
    picture = pil_to_tensor(Image.open(path))
    side = (picture.shape[-1] - 2) // columns
    centres = picture[0, 2 + side // 2 :: side, 2 + side // 2 :: side]
    return centres, picture


def test_first_every_and_last(tmp_path):
    fit(tmp_path, SampleGrid(every_n_iterations=3, n=5))
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["00000000.png", "00000003.png", "00000006.png", "00000008.png", "real.png"]


def test_latents_stay_the_same_and_weights_are_averaged(tmp_path):
    ema = EMA(half_life_kimg=0.02)
    method, _ = fit(tmp_path, ema, SampleGrid(every_n_iterations=4, n=5, seed=7))
    assert len(method.generated) == 3
    first, last = method.generated[0], method.generated[-1]
    assert not torch.equal(first[1], last[1])
    assert torch.equal(last[0], ema.average["generator.fc.weight"])
    prior = method.prior(5, torch.Generator().manual_seed(7))
    with ema.applied(method.eval()):
        assert torch.equal(method.generate(prior), last[1])


def test_light_lines_and_enlarged_tiles(tmp_path):
    fit(tmp_path, SampleGrid(every_n_iterations=8, n=4))
    _, picture = tiles(tmp_path / "samples" / "real.png", 2)
    assert picture.shape == (3, 2 * (8 * SIZE + 2) + 2, 2 * (8 * SIZE + 2) + 2)
    assert (picture[:, :2] == 230).all()
    assert (picture[:, :, 66:68] == 230).all()
    # The first two real images are dark and bright.
    assert picture[0, 2:66, 2:66].float().mean() < 120 < picture[0, 2:66, 68:132].float().mean()


def test_a_class_in_each_row(tmp_path):
    fit(tmp_path, SampleGrid(every_n_iterations=8, n=6), method=ToyConditionalGAN)
    centres, _ = tiles(tmp_path / "samples" / "00000008.png", 3)
    assert centres.shape == (2, 3)
    assert centres[0].float().mean() < 128 < centres[1].float().mean()


def test_methods_that_translate_get_real_images(tmp_path):
    data, got = ToyData(), []

    class Translator(ToyGAN):
        def generate(self, batch):
            got.append(batch["image"])
            return -batch["image"]

    fit(tmp_path, SampleGrid(every_n_iterations=8, n=4), method=Translator, data=data)
    assert torch.equal(got[0], data.split("val").fetch(range(4))["image"])


def test_tensorboard_gets_the_pictures(tmp_path):
    logger = TensorBoardLogger(tmp_path, name="tensorboard", version="")
    fit(tmp_path, SampleGrid(every_n_iterations=8, n=1), logger=[logger])
    shown = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Images("samples")
    assert [(each.step, each.height, each.width) for each in shown] == [(0, 64, 64), (8, 64, 64)]
    for each in shown:
        file = tmp_path / "samples" / f"{each.step:08d}.png"
        assert each.encoded_image_string == file.read_bytes()


def test_never(tmp_path):
    fit(tmp_path, SampleGrid(every_n_iterations=None))
    assert not (tmp_path / "samples").exists()


@pytest.mark.parametrize("settings", [{"n": 0}, {"every_n_iterations": 0}])
def test_bad_settings(settings):
    with pytest.raises(InputError, match="is 0: expected at least 1"):
        SampleGrid(**settings)
