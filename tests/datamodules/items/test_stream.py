"""The stream: draw k is a pure function of (seed, k), whoever asks."""

from itertools import chain, islice

import pytest
import pytorch_lightning as pl
import torch

from datamodules.datasets.digits import Digits
from datamodules.errors import DataError
from datamodules.items.splits import MemoryImages
from datamodules.items.stream import Stream, StreamLoader

FLIPS = [{"class_path": "HorizontalFlip"}, {"class_path": "GaussNoise", "init_args": {"p": 1.0}}]


def numbered(n):
    pixels = torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1).expand(n, 1, 4, 4)
    return MemoryImages(pixels.contiguous(), {"label": torch.arange(n) % 3})


def indices(loader, batches):
    return [batch["index"].tolist() for batch in islice(loader, batches)]


def test_every_pass_visits_every_image_once_in_its_own_order():
    drawn = Stream(numbered(7), seed=0).positions(range(21))
    passes = [drawn[:7], drawn[7:14], drawn[14:]]
    assert all(sorted(one) == list(range(7)) for one in passes)
    assert len({tuple(one) for one in passes}) == 3


def test_draws_depend_on_the_seed_and_not_on_how_they_are_asked_for():
    whole = Stream(numbered(7), seed=3).positions(range(40))
    pieces = Stream(numbered(7), seed=3)
    late, early = pieces.positions(range(11, 40)), pieces.positions(range(11))
    assert early + late == whole
    assert Stream(numbered(7), seed=4).positions(range(40)) != whole


def test_a_batch_larger_than_the_data_wraps():
    batch = Stream(numbered(3), seed=0).fetch(range(8))
    assert batch["image"].shape == (8, 1, 4, 4)
    assert sorted(batch["index"][:3].tolist()) == [0, 1, 2]


def test_four_processes_see_what_one_does():
    stream = Stream(numbered(50), seed=1)
    one = indices(StreamLoader(stream, 8), 5)
    four = [indices(StreamLoader(stream, 2, rank=r, world_size=4), 5) for r in range(4)]
    assert [list(chain(*slices)) for slices in zip(*four, strict=True)] == one


def test_a_later_start_goes_on_where_the_earlier_run_was():
    stream = Stream(numbered(50), seed=1)
    assert (
        indices(StreamLoader(stream, 8, start=lambda: 3), 4)
        == indices(StreamLoader(stream, 8), 7)[3:]
    )


def test_workers_change_nothing():
    alone, helped = (
        islice(Digits(seed=5, batch_size=6, num_workers=n, augment=FLIPS).train_dataloader(), 5)
        for n in (0, 2)
    )
    for a, b in zip(alone, helped, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)


def test_loaders_consume_no_global_randomness():
    data = Digits(augment=FLIPS, batch_size=50)
    state = torch.get_rng_state()
    next(iter(data.train_dataloader()))
    assert len(list(data.val_dataloader())) == 3
    assert torch.equal(torch.get_rng_state(), state)


def test_the_loader_is_endless():
    with pytest.raises(TypeError):
        len(StreamLoader(Stream(numbered(3), 0), 2))


def test_bad_arguments_are_named():
    with pytest.raises(DataError, match="no images"):
        Stream(numbered(3).subset(torch.tensor([], dtype=torch.int64)), 0)
    with pytest.raises(DataError, match="seed of the training data is -1"):
        Stream(numbered(3), -1)
    with pytest.raises(DataError, match="batch_size is 0"):
        StreamLoader(Stream(numbered(3), 0), 0)


class Recorder(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch):
        self.seen.append(batch["index"].tolist())
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder, epochs, batches, ckpt_path=None):
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        limit_train_batches=batches,
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    recorder = Recorder()
    trainer.fit(recorder, datamodule=Digits(batch_size=16), ckpt_path=ckpt_path)
    return trainer, recorder.seen


@pytest.mark.filterwarnings("ignore")
def test_a_second_epoch_and_a_resumed_run_go_on_in_the_stream(tmp_path):
    _, straight = fit(tmp_path, 1, 6)
    trainer, first = fit(tmp_path, 1, 3)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    _, resumed = fit(tmp_path, 2, 3, ckpt_path=tmp_path / "last.ckpt")
    _, two_epochs = fit(tmp_path, 2, 3)
    assert first + resumed == two_epochs == straight
