"""Random masks of people, and images in each person's own greys."""

import torch

from datamodules.base.person_data import PersonData
from datamodules.items.modalities import Modality
from datamodules.items.scenes import MemoryScenes

CLASSES = 4
MODALITIES = {"mask": Modality("labels", CLASSES, tuple("abcd")), "image": Modality("image", 1)}
PARTS = {"train": 0, "val": 100, "test": 200}


def drawn(part, people, each, first):
    """Return `each` pictures of people, numbered from `first`, with masks and images."""
    person = (PARTS[part] + torch.arange(people)).repeat_interleave(each)
    rng = torch.Generator().manual_seed(PARTS[part] + first)
    ids = torch.randint(CLASSES, (len(person), 4, 4), generator=rng)
    ids = ids.repeat_interleave(4, 1).repeat_interleave(4, 2)
    greys = torch.rand(1000, CLASSES, generator=torch.Generator().manual_seed(1))[person]
    image = greys[torch.arange(len(person))[:, None, None], ids][:, None]
    number = (first + torch.arange(each)).repeat(people)
    names = [f"{i}-{j}" for i, j in zip(person.tolist(), number.tolist(), strict=True)]
    return ids.to(torch.uint8), image.mul(255).to(torch.uint8), names, person


class TinyPeople(PersonData):
    """Four people in each split, of whom there are 4 pairs and a pool of 5 images.

    Args:
        references: Images that come with a pair.
        batch_size: Pairs per batch and process.
        seed: Seeds the orders.
    """

    def __init__(self, references: int = 2, batch_size: int = 4, seed: int = 0) -> None:
        super().__init__(references, batch_size, num_workers=0, seed=seed)
        self.modalities, self.size = dict(MODALITIES), (16, 16)

    def load_pairs(self, part):
        mask, image, names, person = drawn(part, 4, 4, 0)
        return MemoryScenes(MODALITIES, {"mask": mask, "image": image}, names, {"person": person})

    def load_pool(self, part):
        _, image, names, person = drawn(part, 4, 5, 4)
        return MemoryScenes(
            {"image": MODALITIES["image"]}, {"image": image}, names, {"person": person}
        )

    def person_name(self, number):
        return f"person {number}"


def batch(n=3, references=2):
    """Return a nested training batch of a pair of each of the first n people."""
    data, first = TinyPeople(references), 4 * torch.arange(n)
    shown = data.references("train").nearest(first, references)
    return {"pairs": {**data.pairs("train").fetch(first.tolist()), "references": shown}}
