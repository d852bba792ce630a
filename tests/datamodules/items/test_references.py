"""References: images of the pair's person, never its own, drawn by the seed of the draw alone."""

import pytest
import torch

from datamodules.errors import DataError
from datamodules.items.modalities import Modality
from datamodules.items.references import ReferencedScenes, ReferencedStream, References
from datamodules.items.scenes import MemoryScenes
from datamodules.worlds.eyes.world import Eyes

PEOPLE = torch.tensor([0, 0, 0, 1, 1, 1])
IMAGE = {"image": Modality("image", 1)}


def scenes(people=PEOPLE, prefix="eye"):
    """Return scenes whose pixels all have the value of their position."""
    pixels = torch.arange(len(people), dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    ids = [f"{prefix}-{i}" for i in range(len(people))]
    return MemoryScenes(IMAGE, {"image": pixels}, ids, {"person": people})


def values(images):
    return ((images[..., 0, 0, 0] + 1) * 127.5).round().long()


def test_candidates_are_of_the_same_person_without_the_pairs_own_image():
    references = References(scenes(), scenes())
    assert [references.of(i).tolist() for i in range(4)] == [[1, 2], [0, 2], [0, 1], [4, 5]]
    apart = References(scenes(), scenes(prefix="pool"))
    assert apart.of(1).tolist() == [0, 1, 2]


def test_draws_depend_on_their_number_alone_and_never_hold_the_pair():
    references = References(scenes(), scenes())
    stream = ReferencedStream(references, 3, seed=1)
    whole = stream.fetch(range(60))
    assert whole["references"].shape == (60, 3, 1, 2, 2)
    part = ReferencedStream(references, 3, seed=1).fetch(range(41, 47))
    for name, value in part.items():
        assert torch.equal(value, whole[name][41:47]), name
    drawn, own = values(whole["references"]), whole["index"]
    assert (drawn != own[:, None]).all()
    assert (PEOPLE[drawn] == whole["person"][:, None]).all()
    assert {tuple(sorted({*drawn[own == i].flatten().tolist()})) for i in (0, 5)} == {
        (1, 2),
        (3, 4),
    }


def test_a_flip_of_a_pair_is_one_of_its_references():
    data = Eyes((40, 32), 2, 1, 1, 4, 3, references=2, augment=[{"class_path": "HorizontalFlip"}])
    batch = next(iter(data.train_dataloader()))["pairs"]
    pairs, pool = data.pairs("train").fetch(range(8)), data.pool("train").fetch(range(6))
    flips = []
    for i, index in enumerate(batch["index"].tolist()):
        turned = not torch.equal(batch["image"][i], pairs["image"][index])
        flips.append(turned)
        stored = pool["image"].flip(-1) if turned else pool["image"]
        for reference in batch["references"][i]:
            assert (stored == reference).flatten(1).all(1).any()
    assert len(set(flips)) == 2


def test_held_out_pairs_have_their_nearest():
    ranking = torch.tensor([[2, 1], [0, 2], [1, 0], [5, 4], [3, 5], [4, 3]])
    split = ReferencedScenes(References(scenes(), scenes(), ranking), 3)
    found = split.fetch([3, 0])
    assert values(found["references"]).tolist() == [[5, 4, 5], [2, 1, 2]]


@pytest.mark.parametrize(
    ("ranking", "said"),
    [
        ([[0]] * 6, "own image or one of another"),
        ([[1], [0], [0], [0], [3], [3]], "own image or one of another"),
        ([[1], [0], [0], [4], [3], [6]], "rank them anew"),
        ([[1], [0]], "rank them anew"),
    ],
)
def test_a_ranking_of_other_pairs_is_refused(ranking, said):
    with pytest.raises(DataError, match=said):
        References(scenes(), scenes(), torch.tensor(ranking))


def test_a_person_without_a_further_image_is_named():
    with pytest.raises(DataError, match="style of eye-3"):
        References(scenes(torch.tensor([0, 0, 0, 1])), scenes(torch.tensor([0, 0, 0, 1])))


def test_a_ranking_replaces_the_candidates():
    data = Eyes((40, 32), 2, 1, 1, 2, 3, references=1)
    assert data.references("train").of(3).tolist() == [3, 4, 5]
    data.use_ranking("train", torch.tensor([[1], [0], [5], [4]]))
    assert data.references("train").of(3).tolist() == [4]
