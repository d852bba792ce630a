import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules import Attributes, Biased, Objects
from datamodules.worlds.portraits import world as portraits
from lit_synth.cli import main
from lit_synth.features import identity
from lit_synth.studies.plan import load_plan

STUDIES = sorted(path.stem for path in Path("configs/studies").glob("*.yaml"))
QUICK = "transfer-init"  # the others take a few seconds each
N_JUDGING, FEW = 2000, 96  # images of a judging set: by default, and here


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where all studies here run: sources that two of them share are trained once.

    The plans are those that are shipped, but for how many scenes are held out to look at, how many
    images domains consist of, and how many styles are measured and shown. Judges learn from few
    images, too, and nothing is taken from a cache.
    """
    root = tmp_path_factory.mktemp("studies")
    (root / "plans").mkdir()
    for id_ in STUDIES:
        text = Path(f"configs/studies/{id_}.yaml").read_text()
        fewer = re.sub(r"(data\.init_args\.n_(?:val|test)): \d+", r"\1: 8", text)
        fewer = re.sub(r"\{images: (\d+)00,", lambda n: f"{{images: {4 * int(n[1])},", fewer)
        fewer = re.sub(r"(evaluate: \{.*styles): 8", r"\1: 2", fewer)
        fewer = re.sub(r"(samples: \{.*\bn): \d+", r"\1: 2", fewer)
        fewer = re.sub(r"(samples: \{.*styles): \d+", r"\1: 1", fewer)
        (root / "plans" / f"{id_}.yaml").write_text(fewer)
    places = {"--studies": "plans", "--runs_dir": "runs", "--results": "docs/results"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIT_SYNTH_CACHE", str(root / "cache"))
        patch.setattr(identity, "RECIPE", replace(identity.RECIPE, iterations=2))
        patch.setattr(portraits, "_PHOTOS", identity.FEWEST)  # of each person
        for data in (Attributes, Biased, Objects):
            usual = data.__init__.__defaults__
            assert usual.count(N_JUDGING) == 1
            few = tuple(FEW if each == N_JUDGING else each for each in usual)
            patch.setattr(data.__init__, "__defaults__", few)
        yield [word for option, place in places.items() for word in (option, str(root / place))]


def smoke(id_, folders):
    code = main(["study", "run", id_, "--scale", "smoke", "--jobs", "0", *folders])
    return code, json.loads((Path(folders[-1]) / f"{id_}.json").read_text())


@pytest.mark.parametrize("id_", STUDIES)
def test_every_arm_runs_and_every_expectation_is_judged(id_, folders):
    code, outcome = smoke(id_, folders)
    plan = load_plan(f"configs/studies/{id_}.yaml", "smoke")
    assert (code, outcome["failures"]) == (0, {})
    assert list(outcome["arms"]) == list(plan.arms)
    for by_seed in outcome["arms"].values():
        assert any(value > 0 for row in by_seed.values() for value in row.values())
    rows = [row for by_seed in outcome["arms"].values() for row in by_seed.values()]
    measured = {name for row in rows for name in row}
    assert measured == set(plan.metrics)
    assert len(outcome["tests"]) == len(plan.expects)
    assert all(test["effect"] is not None for test in outcome["tests"])
    drawn = (Path(folders[-1]) / f"{id_}-samples.png").is_file()
    assert drawn == ("samples" in plan.plot)


def test_a_second_run_does_nothing_and_the_report_has_it(folders, capsys):
    smoke(QUICK, folders)
    capsys.readouterr()
    smoke(QUICK, folders)
    assert "5 runs, 5 of them done before" in capsys.readouterr().out
    report = Path(folders[-1]).parent / "RESULTS.md"
    assert main(["study", "report", *folders, "--report", str(report)]) == 0
    text = report.read_text()
    assert f"](results/{QUICK}.md)" in text
    assert f"![{QUICK}-samples](results/{QUICK}-samples.png)" in text


def test_a_run_that_fails_is_reported(folders, tmp_path, capsys):
    text = Path(f"configs/studies/{QUICK}.yaml").read_text()
    broken = text.replace("limit: 100", "limit: 100000")
    (tmp_path / f"{QUICK}.yaml").write_text(broken)
    code, outcome = smoke(QUICK, ["--studies", str(tmp_path), *folders[2:]])
    assert code == 1
    assert len(outcome["failures"]) == 4
    assert "limit asks for 100000" in outcome["failures"]["pre-pre seed 0"]
    assert outcome["verdict"] != "supported"
    assert "FAILED" in capsys.readouterr().out


def test_judging_changes_no_row_and_says_why(tmp_path, capsys):
    published = Path(f"docs/results/{QUICK}.json")
    path = tmp_path / published.name
    path.write_text(published.read_text())
    assert main(["study", "judge", QUICK, "--results", str(tmp_path)]) == 0
    assert path.read_text() == published.read_text()
    outcome = json.loads(path.read_text())
    assert f"{QUICK}: {outcome['verdict']}" in capsys.readouterr().out


def test_unequal_arms_and_a_dirty_tree_are_refused_before_any_run(tmp_path, capsys, monkeypatch):
    places = ["--runs_dir", str(tmp_path / "runs"), "--results", str(tmp_path)]
    assert main(["study", "run", "mine-vehicles", *places]) == 2
    assert "(ema), which is not what is compared" in capsys.readouterr().err
    monkeypatch.setattr("lit_synth.studies.provenance.revision", lambda: "abc-dirty")
    assert main(["study", "run", QUICK, *places]) == 2
    assert "differ from the revision abc: commit them" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nonsense"], "no study 'nonsense'"),
        (["run"], "no study was named"),
        (["judge", "nonsense"], "no result docs/results/nonsense.json"),
        (["run", "udit-width", "--seeds", "0"], "was tuned on seed 0"),
        (["list", "--studies", "nowhere"], "no folder nowhere"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message, capsys):
    assert main(["study", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_list_needs_no_torch_and_survives_a_reader_that_leaves():
    code = (
        "import sys; from lit_synth.cli import main; main(['study', 'list']); "
        "print([m for m in ('torch', 'numpy', 'datamodules') if m in sys.modules], file=sys.stderr)"
    )
    alone = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert alone.stderr == "[]\n"
    assert alone.stdout.count("runs done") == len(STUDIES)

    with subprocess.Popen(
        [sys.executable, "-m", "lit_synth.cli", "study", "list"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as listing:
        listing.stdout.close()
        assert listing.stderr.read() == ""
