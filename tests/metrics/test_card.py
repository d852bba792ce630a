import dataclasses

import pytest
import torch

from lit_synth.errors import InputError
from lit_synth.features.random import RandomFeatures
from lit_synth.metrics.card import Card, caution, comparable, read_card, write_card

CARD = Card.of(RandomFeatures(), 30, 20, "test", 7, "d" * 64, "Few images.")


def test_card_knows_its_extractor_and_versions():
    assert CARD.extractor == RandomFeatures().name
    assert CARD.extractor_sha256 == RandomFeatures().sha256
    assert CARD.versions["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert CARD.note.endswith("Few images.")
    assert "never with published" in CARD.note


def test_comparable_names_the_fields_that_differ():
    assert comparable(CARD, dataclasses.replace(CARD, note="other")) == []
    other = dataclasses.replace(CARD, n_fake=21, resize="crop")
    assert comparable(CARD, other) == ["resize", "n_fake"]


def test_card_and_values_survive_the_file(tmp_path):
    path = tmp_path / "cards" / "a.json"
    write_card(path, CARD, {"fid": 1.5})
    assert read_card(path) == (CARD, {"fid": 1.5})


@pytest.mark.parametrize("text", ["no json", "{}", '{"values": {}, "card": {"colour": 1}}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InputError, match="not a metric report"):
        read_card(path)


def test_lines_leave_out_what_is_empty():
    lines = dataclasses.replace(CARD, note="").lines()
    assert "images: 30 real, 20 fake" in lines
    assert not any(line.startswith("note") for line in lines)


def test_few_held_out_images_are_told():
    assert caution(250) == []
    assert "Only 249 held-out images" in caution(249)[0]
