"""CelebA as it was published, in miniature: partitions, labels, the crop."""

import pytest
import torch
from scene_trees import write_image

from datamodules.attributes import Attributes
from datamodules.datasets.celeba import CelebA
from datamodules.errors import DataError

NAMES = ["Bangs", "Male", "Young"]
EVERYTHING = [{"images": "all"}]
N = 60


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def label(i, column):
    return (i >> column) & 1


@pytest.fixture
def root(tmp_path):
    """60 faces of 178x218: 40 to train on, 8 of val, 12 of test."""
    files = [f"{i:06d}.jpg" for i in range(1, N + 1)]
    rows = [
        f"{file} " + " ".join(f"{2 * label(i, c) - 1:2d}" for c in range(3))
        for i, file in enumerate(files)
    ]
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join([f"{N}", " ".join(NAMES), *rows]))
    parts = [f"{f} {0 if i < 40 else 1 if i < 48 else 2}" for i, f in enumerate(files)]
    (tmp_path / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    for i, file in enumerate(files):
        write_image(tmp_path / "img_align_celeba" / file, i, (178, 218))
    return tmp_path


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def dealt(source, part):
    return set(source.deal({part: EVERYTHING})[part].index.tolist())


def test_parts_are_the_partitions_and_judges_take_from_training(root):
    source = CelebA(str(root), 16)
    assert dealt(source, "val/x") == set(range(40, 48))
    assert dealt(source, "test/x") == set(range(48, 60))
    groups = [dealt(source, f"{group}/x") for group in ("train", "extractor", "judge0", "judge1")]
    assert set().union(*groups) == set(range(40))
    assert sum(map(len, groups)) == 40
    assert min(map(len, groups)) > 0


def test_labels_are_those_of_the_list(root):
    source = CelebA(str(root), 16)
    hand = source.deal({"train/x": [{"images": 5, "Male": "yes", "Young": "no"}]})["train/x"]
    fields = source.load(hand).fields
    for column, name in enumerate(NAMES):
        assert fields[name].tolist() == [label(i, column) for i in fields["number"].tolist()]
    assert fields["Male"].tolist() == [1] * 5
    assert source.attributes["Male"] == ("no", "yes")


def test_the_crop_is_the_central_square(root):
    values = write_image(root / "img_align_celeba/000049.png", 48, (178, 218))
    (root / "img_align_celeba/000049.png").rename(root / "img_align_celeba/000049.jpg")
    source = CelebA(str(root), 178)
    hand = source.deal({"test/x": EVERYTHING})["test/x"]
    split = source.load(hand)
    place = hand.index.tolist().index(48)
    pixels = ((split.images(torch.tensor([place]))[0] + 1) * 127.5).round()
    assert torch.equal(pixels, torch.from_numpy(values[20:198]).permute(2, 0, 1))
    small = CelebA(str(root), 16, crop=100).load(hand).images(torch.tensor([place]))
    assert small.shape == (1, 3, 16, 16)
    assert not torch.equal(small, CelebA(str(root), 16).load(hand).images(torch.tensor([place])))


def test_it_feeds_attributes(root):
    data = Attributes(CelebA(str(root), 16), NAMES, n_val=8, n_test=10, batch_size=6)
    data.setup("fit")
    assert data.describe()["splits"]["train/images"]["scenes"] > 20
    assert len(data.split("val")) == 8
    for k, c in enumerate(next(iter(data.train_dataloader()))["images"]["attributes"]):
        assert c[k % 3] == k // 3
    items = data.split("test").fetch(range(10))
    assert torch.equal(items["attributes"][:, 1].long(), items["image/Male"])


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("list_attr_celeba.txt", "60\n", "61\n", "announces 61 images and has 60 rows"),
        ("list_attr_celeba.txt", "000007.jpg -1", "000007.jpg  0", "row of 000007.jpg is not 3"),
        ("list_attr_celeba.txt", "000007.jpg", "0007.jpg", "1 of 60 rows name files"),
        ("list_eval_partition.txt", "000007.jpg 0\n", "", "no partition 0, 1 or 2: 000007.jpg"),
        ("list_eval_partition.txt", "000007.jpg 0", "000007.jpg", "no partition 0, 1 or 2: 000007"),
    ],
)
def test_damaged_lists_are_refused(root, file, old, new, expected):
    edit(root / file, old, new)
    if file.startswith("list_attr") and new == "0007.jpg":
        edit(root / "list_eval_partition.txt", old, new)
    with pytest.raises(DataError, match=expected):
        CelebA(str(root), 16).deal({"train/x": EVERYTHING})


def test_missing_lists_are_named(root):
    (root / "list_eval_partition.txt").unlink()
    with pytest.raises(DataError, match=r"no file .*list_eval_partition.txt"):
        CelebA(str(root), 16).deal({"train/x": EVERYTHING})
