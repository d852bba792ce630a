"""The doctor tells the truth, and what is broken turns its exit code to 1."""

import hashlib
import json
import shutil

import pytest
import torch

from lit_synth.cli import main
from lit_synth.commands import doctor
from lit_synth.commands.doctor import Finding, damaged_assets, unmet_requirements
from lit_synth.releases.format import ASSETS, bundled

MEASURE = doctor.measure_speed  # replaced below: no other test needs the second it takes


def topics(findings, state):
    return [finding.topic for finding in findings if finding.state == state]


@pytest.fixture(autouse=True)
def _fast(monkeypatch):
    monkeypatch.setattr(doctor, "measure_speed", lambda _: doctor.Speed(100.0, 200.0))


def test_json_covers_every_topic(tmp_path, capsys):
    code = main(["doctor", "--json", "--runs_dir", str(tmp_path)])
    report = json.loads(capsys.readouterr().out)
    assert {finding["topic"] for finding in report["findings"]} >= {
        "system", "processor", "threads", "memory", "libraries", "precision", "distributed",
        "data loading", "disk", "cache", "wandb", "Inception", "assets", "SLURM",
    }  # fmt: skip
    broken = [finding for finding in report["findings"] if finding["state"] == "broken"]
    assert code == (1 if broken else 0)
    assert report["ok"] == (not broken)
    assert str(tmp_path) in next(f["text"] for f in report["findings"] if f["topic"] == "disk")


def test_the_cache_is_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "worlds").mkdir(parents=True)
    (tmp_path / "cache" / "worlds" / "a").write_bytes(bytes(3 * 2**20))
    assert f"3 MiB in {tmp_path / 'cache'}, which may be deleted" in doctor._cache().text
    monkeypatch.setenv("LIT_SYNTH_CACHE", str(tmp_path / "cache/worlds/a/below"))
    assert doctor._cache().state == "slow"


def test_a_broken_part_is_named_and_turns_the_exit_code(monkeypatch, capsys):
    found = [Finding("disk", "12 GiB free"), Finding("assets", "damaged: reinstall.", "broken")]
    monkeypatch.setattr(doctor, "examine", lambda _: iter(found))
    assert main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "damaged: reinstall." in out
    assert "1 broken" in out


def test_slow_is_not_broken(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "examine", lambda _: iter([Finding("GPU", "none", "slow")]))
    assert main(["doctor"]) == 0
    assert "Everything works" in capsys.readouterr().out


def test_bundled_assets_are_intact():
    assert bundled()
    assert list(damaged_assets(ASSETS)) == []
    listed = {line.split()[1] for line in (ASSETS / "SHA256SUMS").read_text().splitlines()}
    assert listed >= {f"{name}/model.safetensors" for name in bundled()}


def test_damaged_and_missing_assets_are_named(tmp_path):
    (tmp_path / "a").write_bytes(b"changed")
    digest = hashlib.sha256(b"original").hexdigest()
    (tmp_path / "SHA256SUMS").write_text(f"{digest}  a\n{digest}  b\n")
    assert list(damaged_assets(tmp_path)) == [
        f"{tmp_path / 'a'} is damaged",
        f"{tmp_path / 'b'} is missing",
    ]


def test_requirements_are_checked_against_what_is_installed(monkeypatch):
    needs = {
        "package": ["torch>=2", "pytest<1", "nowhere-to-be-found", "ruff<0; extra == 'dev'"],
    }
    monkeypatch.setattr(doctor.importlib.metadata, "requires", needs.get)
    first, second = unmet_requirements("package")
    assert first.startswith("package needs pytest<1, but pytest is ")
    assert second == "package needs nowhere-to-be-found, but nowhere-to-be-found is missing"


def test_a_runs_folder_that_cannot_be_made_is_broken(tmp_path):
    (tmp_path / "file").write_text("")
    assert doctor._disk(tmp_path / "file" / "runs").state == "broken"
    assert doctor._disk(tmp_path / "new" / "runs").state == "ok"


def test_full_disk_is_broken(tmp_path, monkeypatch):
    usage = shutil._ntuple_diskusage(100, 100, 10)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert doctor._disk(tmp_path).state == "broken"


@pytest.mark.parametrize(("fast", "advice"), [(300.0, "bf16-mixed` is"), (90.0, "stay with 32")])
def test_precision_follows_the_measurement(fast, advice):
    assert advice in doctor._precision(torch.device("cpu"), doctor.Speed(100.0, fast)).text


def test_damaged_inception_weights_are_broken(tmp_path, monkeypatch):
    weights = tmp_path / "weights-6726825d.pth"
    monkeypatch.setattr(doctor, "cached_weights", lambda: weights)
    slow, quick = doctor.Speed(10.0, 10.0), doctor.Speed(10_000.0, 10_000.0)
    assert doctor._inception(slow).state == "slow"
    assert doctor._inception(quick).state == "ok"
    weights.write_bytes(b"not these")
    assert doctor._inception(quick).state == "broken"


def test_slurm_is_recognised(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("SLURM_JOB_NUM_NODES", "3")
    assert "job 4711, 3 nodes" in doctor._slurm().text


def test_more_threads_than_cores_is_slow(monkeypatch):
    monkeypatch.setattr(doctor, "available_cores", lambda: 0)
    assert topics(doctor._processor(), "slow") == ["threads"]


def test_speed_is_measured_in_both_precisions():
    speed = MEASURE(torch.device("cpu"))
    assert speed.float32 > 0.1
    assert speed.bfloat16 > 0.1
