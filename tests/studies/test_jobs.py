from pathlib import Path

import pytest

from lit_synth.errors import InputError
from lit_synth.studies import code_hash
from lit_synth.studies.jobs import Jobs, set_dotted
from lit_synth.studies.plan import load_plan

HERE = Path("runs")
CACHES = (code_hash.code_hash, code_hash._classes, code_hash._facts)


def keys(jobs):
    return {(arm, seed): job.key for arm, by in jobs.arms.items() for seed, job in by.items()}


def test_one_job_per_arm_and_seed_and_one_shared_source(write_plan):
    jobs = Jobs(load_plan(write_plan()), [0, 1], HERE, "cpu")
    assert jobs.total == 4 * 2 + 1
    source, *arms = jobs.in_order()
    assert source.label == "prepare source"
    assert [job.label for job in arms[:2]] == ["scratch-5 seed 0", "scratch-50 seed 0"]
    transfer = jobs.arms["transfer-5"][1]
    assert transfer.needs == (source.key,)
    assert transfer.config["model"]["init_args"]["source"] == str(source.release)
    assert transfer.config["data"]["init_args"] == {"batch_size": 4, "limit": 5, "seed": 1}
    assert transfer.config["seed_everything"] == 1


def test_a_source_per_seed_if_asked(write_plan):
    path = write_plan()
    plan = load_plan(path)
    prepare = {"source": {"config": str(plan.prepare["source"].config), "per_seed": True}}
    jobs = Jobs(load_plan(write_plan(prepare=prepare)), [0, 1], HERE, "cpu")
    assert jobs.total == 4 * 2 + 2


def test_three_sources_are_shared_by_seeds_in_turn(write_plan):
    config = str(load_plan(write_plan()).prepare["source"].config)
    prepare = {"source": {"config": config, "seeds": 3}}
    jobs = Jobs(load_plan(write_plan(prepare=prepare)), [0, 1, 2, 3, 4], HERE, "cpu")
    assert list(jobs.prepared["source"]) == [0, 1, 2]
    needs = {seed: job.needs for seed, job in jobs.arms["transfer-5"].items()}
    assert needs[0] == needs[3] == (jobs.prepared["source"][0].key,)
    assert needs[1] == needs[4] != needs[2]


def test_keys_follow_content(write_plan):
    before = keys(Jobs(load_plan(write_plan()), [0], HERE, "cpu"))
    elsewhere = keys(Jobs(load_plan(write_plan()), [0], Path("other"), "cpu"))
    assert elsewhere == before
    changed = {"source": {"config": str(write_plan().parent / "base.yaml"), "set": {"a.b": 1}}}
    after = keys(Jobs(load_plan(write_plan(prepare=changed)), [0], HERE, "cpu"))
    assert after["scratch-5", 0] == before["scratch-5", 0]
    assert after["transfer-5", 0] != before["transfer-5", 0]


def test_what_is_not_prepared_cannot_be_used(write_plan):
    plan = load_plan(write_plan(prepare={}))
    with pytest.raises(InputError, match="prepares nothing"):
        Jobs(plan, [0], HERE, "cpu")


def test_set_dotted_replaces_and_makes_mappings():
    config = {"a": {"b": {"c": 1}}}
    set_dotted(config, "a.b", 2)
    set_dotted(config, "x.y", 3)
    assert config == {"a": {"b": 2}, "x": {"y": 3}}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose files a test may change; returns the hash of class A after a change."""
    files = {
        "lit_synth.method": "X = 1",
        "lit_synth.callbacks.evaluate": "",
        "lit_synth.methods.a": "from lit_synth.losses import b\nclass A:\n    y = b.f",
        "lit_synth.losses.b": "def f():\n    return 1",
        "lit_synth.methods.other": "class Other: ...",
    }

    def hash_with(**changes):
        for name, text in {**files, **changes}.items():
            (tmp_path / f"{name}.py").write_text(text)
        for cached in CACHES:
            cached.cache_clear()
        return code_hash.code_hash(frozenset(["A"]))

    monkeypatch.setattr(code_hash, "_modules", lambda: {n: tmp_path / f"{n}.py" for n in files})
    yield hash_with
    monkeypatch.undo()
    for cached in CACHES:
        cached.cache_clear()


def test_code_hash_follows_imports_and_ignores_words(package):
    plain = package()
    loss = "lit_synth.losses.b"
    assert (
        package(**{loss: '"""Words."""\ndef f():\n    """More."""\n    return 1  # why'}) == plain
    )
    assert package(**{"lit_synth.methods.other": "class Other: z = 2"}) == plain
    assert package(**{loss: "def f():\n    return 2"}) != plain
    assert package(**{"lit_synth.method": "X = 2"}) != plain


def test_what_was_read_of_the_code_is_kept_and_read_again_once_it_changes(
    package, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    plain = package()
    parsed = []
    read = code_hash._read
    monkeypatch.setattr(code_hash, "_read", lambda source: parsed.append(source) or read(source))
    assert package() == plain
    assert parsed == []
    assert package(**{"lit_synth.method": "X = 3"}) != plain
    assert parsed == ["X = 3"]
