"""What a grid shows of people: their images, what is made, and the way to the next of them."""

import tiny
import tiny_people
import torch

from lit_synth.pictures.colours import coloured
from lit_synth.pictures.people import people_columns


def test_the_way_starts_at_the_own_person_and_ends_at_the_next():
    method, data = tiny.build("translation/seg2eye")
    method.eval()
    x = data.split("val").fetch([0, 4, 8])
    first, way = people_columns([("Seg2Eye", method)], data, x, truth=True)
    assert [column.lines[0] for column in first] == ["mask", "image 1", "image 2", "image", "image"]
    of_image = tiny_people.MODALITIES["image"]
    assert torch.equal(first[2].pictures, coloured(x["references"][:, 1], of_image, None))
    assert torch.equal(first[-1].pictures, coloured(x["image"], of_image, None))
    assert [column.lines[0] for column in way] == ["mask", "0.00", "0.25", "0.50", "0.75", "1.00"]
    assert torch.equal(way[1].pictures, first[3].pictures)
    given = {"mask": x["mask"], "references": x["references"].roll(-1, 0)}
    of_next = method.translate(given, method.translations()[0])
    assert (way[-1].pictures.int() - coloured(of_next, of_image, None).int()).abs().max() <= 1
