"""Labels that images are made from: their number of classes, and their ids."""

import pytest
import torch
from tiny_scenes import TinyScenes

from lit_synth.batches.label_maps import check_classes, checked_ids
from lit_synth.errors import InputError


def test_data_of_other_classes_than_the_networks_is_refused():
    data = TinyScenes()
    check_classes(data, "segmentation", 5)
    check_classes(None, "segmentation", 7)
    with pytest.raises(InputError, match=r"have 5 classes, ids 0 to 4, .* built for 7"):
        check_classes(data, "segmentation", 7)
    with pytest.raises(InputError, match="'rgb' is of kind 'image'"):
        check_classes(data, "rgb", 5)


def test_an_id_that_is_no_class_is_named():
    ids = torch.tensor([[[0, 4, 255]]])
    assert checked_ids(ids, 5, "masks") is ids
    for strange in (5, 254, -1):
        ids[0, 0, 1] = strange
        with pytest.raises(InputError, match=f"has the id {strange}: expected 0 to 4, or 255"):
            checked_ids(ids, 5, "masks")
