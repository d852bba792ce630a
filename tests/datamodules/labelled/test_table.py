"""Images with a CSV file: values, groups, dealing, and what a table may lack."""

import pytest
import torch
from scene_trees import write_image

from datamodules.attributes import Attributes
from datamodules.errors import DataError
from datamodules.files.images import FileImages
from datamodules.labelled.table import AttributeTable

HEADER = "file,gender,age,smile"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))


def write(root, rows, header=HEADER, size=(12, 12)):
    """Write a table, and the image of each row."""
    root.mkdir(exist_ok=True)
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    for seed, row in enumerate(rows):
        write_image(root / row.split(",")[0], seed, size)
    return root


def people(n):
    """Return n rows: every second a woman, every third old, every fourth smiling."""
    return [
        f"a/{i:03d}.png,{'MF'[i % 2]},{['young', 'young', 'old'][i % 3]},{int(i % 4 == 0)}"
        for i in range(n)
    ]


def message(root, parts=None, **options):
    with pytest.raises(DataError) as caught:
        AttributeTable(str(root), 8, **options).deal(parts or {"train/x": [{"images": 1}]})
    return str(caught.value)


def test_values_are_sorted_or_no_and_yes(tmp_path):
    rows = [f"{i}.png,{'FM'[i % 2]},{10 - i},{'TRUE' if i else 'False'}" for i in range(4)]
    table = AttributeTable(str(write(tmp_path, rows)), 8, shares={})
    assert {name: list(values) for name, values in table.attributes.items()} == {
        "gender": ["F", "M"],
        "age": ["7", "8", "9", "10"],
        "smile": ["no", "yes"],
    }
    hand = table.deal({"train/x": [{"images": "all"}]})["train/x"]
    split = table.load(hand)
    fetched = split.fetch(range(4))
    assert fetched["image"].shape == (4, 3, 8, 8)
    for i, row in enumerate(fetched["number"].tolist()):
        assert [fetched[name][i].item() for name in table.attributes] == [
            row % 2,
            3 - row,
            int(row > 0),
        ]


def test_given_values_have_their_order_and_leave_other_rows_out(tmp_path):
    root = write(tmp_path, [*people(6), "b.png,F,child,0"])
    wanted = {"age": ["young", "old"], "gender": None}
    table = AttributeTable(str(root), 8, attributes=wanted, shares={})
    assert table.attributes == {"age": ["young", "old"], "gender": ["F", "M"]}
    assert len(table.deal({"train/x": [{"images": "all"}]})["train/x"].index) == 6
    assert "no row of age ald" in message(root, attributes={"age": ["ald", "old"]})


def test_given_values_are_known_before_the_table_is_read(tmp_path):
    wanted = {"age": ["young", "old"]}
    table = AttributeTable(str(tmp_path / "later"), 8, attributes=wanted, shares={})
    assert table.attributes == wanted
    write(tmp_path / "later", people(6))
    assert len(table.deal({"train/x": [{"images": "all"}]})["train/x"].index) == 6


def test_portions_get_what_they_ask_for_and_no_image_twice(tmp_path):
    table = AttributeTable(str(write(tmp_path, people(60))), 8, shares={"judge0": 0.2})
    parts = {
        "train/any": [{"images": 20}],
        "train/mixed": [
            {"images": 5, "gender": "F", "age": "young"},
            {"images": 3, "gender": "M", "age": "old"},
        ],
        "test/old": [{"images": 4, "age": "old", "smile": "no"}],
        "judge0/age": [{"images": 4}],
    }
    hands = table.deal(parts)
    numbers = torch.cat([hand.index for hand in hands.values()])
    assert len(numbers.unique()) == len(numbers) == 36
    mixed = table.load(hands["train/mixed"]).fields
    assert mixed["gender"].tolist() == [0] * 5 + [1] * 3
    assert mixed["age"].tolist() == [1] * 5 + [0] * 3  # old before young
    assert hands["train/mixed"].given["age"].tolist() == [1] * 5 + [0] * 3
    assert hands["train/any"].given["age"].tolist() == [-1] * 20
    again = AttributeTable(str(tmp_path), 8, shares={"judge0": 0.2})
    assert torch.equal(again.deal(parts)["train/any"].index, hands["train/any"].index)
    other = AttributeTable(str(tmp_path), 8, shares={"judge0": 0.2}, seed=1).deal(parts)
    assert not torch.equal(other["train/any"].index, hands["train/any"].index)


def test_groups_are_disjoint_whoever_asks_and_stay_when_rows_are_added(tmp_path):
    def groups(n):
        table = AttributeTable(str(write(tmp_path / str(n), people(n))), 8)
        names = ("train", "extractor", "judge0", "judge1")
        hands = {n: table.deal({f"{n}/x": [{"images": "all"}]})[f"{n}/x"].index for n in names}
        return {name: set(index.tolist()) for name, index in hands.items()}

    few, many = groups(100), groups(120)
    assert sum(map(len, many.values())) == len(set().union(*many.values())) == 120
    assert all(len(many[name]) > 3 for name in many)
    assert len(many["train"]) > 70
    assert all(few[name] == {i for i in many[name] if i < 100} for name in few)


def test_a_group_column_decides_and_rows_of_one_key_stay_together(tmp_path):
    names = ["test", "train", "judge0", ""]
    rows = [f"{i:03d}.png,{'FM'[i % 2]},{names[i % 4]},{i // 6}" for i in range(240)]
    root = write(tmp_path, rows, "file,gender,group,person")
    table = AttributeTable(str(root), 8, attributes=["gender"], together="person")

    def dealt(part):
        return set(table.deal({part: [{"images": "all"}]})[part].index.tolist())

    assert dealt("judge0/x") == set(range(2, 240, 4))
    assert dealt("test/x") == set(range(0, 240, 4))
    assert dealt("val/x") < set(range(3, 240, 4))  # has no group and is not drawn
    trained = dealt("train/x")
    assert dealt("val/x") < trained
    extracted = dealt("extractor/x") | dealt("judge1/x")
    assert trained | extracted == set(range(1, 240, 2))
    assert {i // 6 for i in extracted}.isdisjoint({i // 6 for i in trained})
    assert list(table.attributes) == ["gender"]


def test_shares_of_val_and_test_keep_people_apart(tmp_path):
    rows = [f"{i:03d}.png,{'FM'[i % 2]},{i // 4}" for i in range(120)]
    root = write(tmp_path, rows, "file,gender,person")
    shares = {"val": 0.2, "test": 0.2, "judge0": 0.2}
    table = AttributeTable(str(root), 8, attributes=["gender"], together="person", shares=shares)
    hands = table.deal({f"{n}/x": [{"images": "all"}] for n in ("train", *shares)})
    people = [{i // 4 for i in hand.index.tolist()} for hand in hands.values()]
    assert sum(map(len, people)) == len(set().union(*people)) == 30


def test_too_few_images_are_counted(tmp_path):
    root = write(tmp_path, people(12))
    asked = {"train/x": [{"images": 2, "age": "old", "gender": "F"}, {"images": 9, "age": "old"}]}
    found = message(root, asked, shares={})
    assert "train/x asks for 9 images of age old" in found
    assert "has 2 left for it" in found
    assert "no rows for judge7, only for" in message(root, {"judge7/x": [{"images": 1}]})
    assert "no value 'ald'" in message(root, {"train/x": [{"images": 1, "age": "ald"}]})


def test_the_centre_is_cut_out_before_it_is_resized(tmp_path):
    root = write(tmp_path, ["0.png,F"], "file,gender", size=(30, 20))
    values = write_image(root / "0.png", 0, (30, 20))
    split = AttributeTable(str(root), 8, crop=8, shares={}).load(
        AttributeTable(str(root), 8, shares={}).deal({"train/x": [{"images": 1}]})["train/x"]
    )
    expected = torch.from_numpy(values[6:14, 11:19]).permute(2, 0, 1)
    assert torch.equal(((split.images(torch.tensor([0]))[0] + 1) * 127.5).round(), expected)


def test_large_parts_are_decoded_at_need_to_the_same_images(tmp_path):
    root = str(write(tmp_path, people(6)))
    loaded = []
    for in_memory in (True, False):
        table = AttributeTable(root, 8, shares={}, in_memory=in_memory)
        loaded.append(table.load(table.deal({"train/x": [{"images": "all"}]})["train/x"]))
    held, lazy = loaded
    assert isinstance(lazy, FileImages)
    assert not isinstance(held, FileImages)
    assert held.sha256 == lazy.sha256
    for name, values in held.fetch([3, 1]).items():
        assert torch.equal(values, lazy.fetch([3, 1])[name])


def test_the_hash_knows_images_labels_and_the_rule(tmp_path):
    root = write(tmp_path, people(6))

    def hashed(**options):
        table = AttributeTable(str(root), 8, shares={}, **options)
        return table.load(table.deal({"train/x": [{"images": "all"}]})["train/x"]).sha256

    first = hashed()
    assert hashed() == first
    assert len({first, hashed(crop=6), hashed(resize="stretch"), hashed(attributes=["age"])}) == 4
    write_image(root / "a/000.png", 99)
    assert hashed() != first


def test_it_feeds_attributes(tmp_path):
    root = write(tmp_path, people(80))
    data = Attributes(AttributeTable(str(root), 8), ["gender", "age"], n_val=4, n_test=6)
    data.setup("fit")
    n = len(data.training_set("images"))
    assert n + 10 > 40
    batch = next(iter(data.train_dataloader()))["images"]
    assert batch["image"].shape == (16, 3, 8, 8)
    assert batch["attributes"].shape == (16, 2)


def test_table_and_folder_must_name_the_same_files(tmp_path):
    root = write(tmp_path, people(9))
    for i in range(7):
        write_image(root / f"extra{i}.png", i)
    (root / "notes.txt").write_text("not an image")
    found = message(root)
    assert "lacks 7 of the images" in found
    assert "extra0.png, extra1.png, extra2.png, extra3.png, extra4.png and 2 more" in found
    for i in range(7):
        (root / f"extra{i}.png").unlink()
    (root / "a/003.png").unlink()
    assert "1 of 9 rows name files" in message(root)
    assert "a/003.png" in message(root)


@pytest.mark.parametrize(
    ("rows", "header", "expected"),
    [
        (["a.png,F,1,0", "a.png,F,1,0"], HEADER, "several rows of a.png"),
        (["a.png,,1,0", "b.png,F,1,0"], HEADER, "no gender in row 1"),
        (["a.png,F,1,0", "b.png,F"], HEADER, "not as many cells in row 2"),
        (["a.png,F,1,0"], "path,gender,age,smile", "no column file; its columns are path"),
        (["a.png"], "file", "no column of an attribute"),
        ([], HEADER, "rows below it"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, rows, header, expected):
    assert expected in message(write(tmp_path, rows, header))


def test_unusable_images_and_shares_are_named(tmp_path):
    root = write(tmp_path, people(4))
    (root / "a/001.png").write_bytes(b"no image")
    table = AttributeTable(str(root), 8, shares={})
    hand = table.deal({"train/x": [{"images": "all"}]})["train/x"]
    with pytest.raises(DataError, match=r"a/001.png is not an image"):
        table.load(hand)
    assert "There is no folder" in message(tmp_path / "nowhere")
    assert "There is no file" in message(root, table="other.csv")
    assert "in all 1 at most" in message(root, shares={"judge0": 0.7, "judge1": 0.7})
