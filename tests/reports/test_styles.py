"""The part of the report that styles fill."""

import re

from toy_translator import TO_RGB

from lit_synth.contracts.translator import Translation
from lit_synth.reports.styles import MOST_LINES, charts, is_ours, tables
from lit_synth.reports.translations import belongs
from lit_synth.reports.translations import charts as all_charts
from lit_synth.reports.translations import tables as all_tables

THERE = Translation(("black",), ("red",))
VALUES = {
    "black_to_red/misclassified": 0.1,
    "black_to_red/misclassified_f1": 0.15,
    "black_to_red/misclassified_h": 0.0,
    "black_to_red/joint": 0.8,
    "black_to_red/diversity": 0.3,
    "black_to_red/diversity_true": 0.4,
    "black_to_red/fid": 12.0,
    "black_to_red/change_net": 0.02,
    "identity/black_to_red/misclassified": 0.01,
    "identity/black_to_red/joint": 0.0,
    "beside/MUNIT/black_to_red/misclassified": 0.9,
    "beside/MUNIT/black_to_red/fid": 9.0,
    "mean/joint": 0.8,
    "reverse/accuracy": 0.7,
    "reverse/ceiling": 0.95,
}


def rows(html):
    lines = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", line) for line in lines]


def test_each_run_has_a_row_between_the_identity_map_and_the_truth():
    found = rows(tables(VALUES, [THERE]))
    head = ["bias and diversity", "", "misclassified", "misclassified_f1", "misclassified_h"]
    assert found[0] == [*head, "joint", "diversity"]
    assert found[1:6] == [
        ["mean", "this run", "", "", "", "0.8", ""],
        ["black_to_red", "this run", "0.1", "0.15", "0", "0.8", "0.3"],
        ["black_to_red", "MUNIT", "0.9", "", "", "", ""],
        ["black_to_red", "identity", "0.01", "", "", "0", ""],
        ["black_to_red", "true", "", "", "", "", "0.4"],
    ]
    assert ["where images change", "", "change_net"] in found
    assert found[-2:] == [["accuracy", "0.7"], ["ceiling", "0.95"]]


def test_what_is_shown_there_is_not_shown_twice():
    html = all_tables(VALUES, {THERE: "unpaired"})
    assert html.count("<th>misclassified</th>") == 1
    assert "<tr><th>to red</th><th></th><th>fid</th></tr>" in html
    assert all(belongs(f"val/{name}", {THERE: "unpaired"}) for name in VALUES)
    assert is_ours("misclassified_smile")
    assert not is_ours("l1")


def test_a_line_for_each_translation_or_their_mean():
    curve = [(0, 0.0), (10, 1.0)]
    for n, expected in ((MOST_LINES, "t0_to_x"), (MOST_LINES + 1, "mean")):
        ways = [Translation((f"t{k}",), ("x",)) for k in range(n)]
        evaluated = {f"{name}/wanted": curve for name in ("mean", *(w.name for w in ways))}
        (drawn,) = charts(evaluated, ways, [])
        assert f"{expected} <b>" in drawn
        assert ("mean <b>" in drawn) is (expected == "mean")


def test_attention_inside_and_outside_stand_in_one_chart():
    curves = {f"val/black_to_red/attention_{k}": [(0, 0.5)] for k in ("inside", "outside")}
    (drawn,) = all_charts(curves, {THERE: "unpaired"}, [])
    assert "black_to_red inside <b>" in drawn
    assert "black_to_red outside <b>" in drawn


def test_runs_without_styles_have_no_such_part():
    assert tables({f"{TO_RGB.name}/l1": 0.1}, [TO_RGB]) == ""
    assert charts({f"{TO_RGB.name}/l1": [(0, 0.1)]}, [TO_RGB], []) == []
