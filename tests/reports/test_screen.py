"""What `test` prints: one screen, the most telling numbers first."""

from lit_synth.metrics.card import Card
from lit_synth.reports.screen import HEIGHT, WIDTH, lines

CARD = Card(
    "random", "0" * 64, "none", 8, 8, "test", 0, "1" * 64, {"torch": "2"}, "Read this. " * 9
)


def test_few_numbers_are_all_there_each_with_what_it_says():
    values = {"kid_std": 0.25, "fid": 12.0, "class_0": 0.5}
    found = lines(values, CARD, "cards/test.json")
    assert found[0].split()[:3] == ["fid", "↓", "12"]
    assert found[0].endswith("0 is equal.")
    assert [line.split()[0] for line in found[1:3]] == ["kid_std", "class_0"]
    assert "card: cards/test.json" in found
    assert any(line.startswith("extractor: random") for line in found)


def test_many_numbers_take_one_screen():
    names = [f"a{k}_to_b/{m}" for k in range(30) for m in ("l1", "joint", "joint_f1", "iou_bed")]
    values = dict.fromkeys([*names, *(f"prior/{n}" for n in ("l1", "joint")), "mean/joint"], 0.5)
    found = lines(values, CARD, "cards/test.json")
    assert len(found) <= HEIGHT
    assert all(len(line) <= WIDTH for line in found)
    assert found[0].startswith("mean/joint ↑")
    told = [line for line in found if "_to_b/" in line]
    assert any("more numbers and the whole card: cards/test.json" in line for line in found)
    assert not any("joint_f1" in line or "iou_bed" in line for line in told)
