"""The metrics file is a pure function of what was logged, however often the run was killed."""

import csv
import math
import time

import pytest
import torch
import wandb
from jsonargparse import Namespace
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from lit_synth.runs import loggers
from lit_synth.runs.metrics_csv import CSVLogger

LOGGED = [
    (2, {"train/d_adv": 0.1}),
    (4, {"train/d_adv": 1 / 3, "train/g_adv": -1e-17}),
    (4, {"val/fid": 12}),
    (6, {"train/d_adv": torch.tensor(0.2)}),
    (8, {"train/d_adv": math.inf, "val/fid": 11.5}),
]


def read(folder):
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def log(folder, entries=LOGGED, resumed=None):
    logger = CSVLogger(str(folder))
    logger.rewind(resumed)
    for iteration, metrics in entries:
        logger.log_metrics(metrics, step=iteration)
    logger.save()
    return (folder / "metrics.csv").read_text()


def test_a_row_per_iteration_a_column_per_metric(tmp_path):
    assert log(tmp_path) == (
        "iteration,train/d_adv,train/g_adv,val/fid\n"
        "2,0.1,,\n"
        "4,0.3333333333333333,-1e-17,12\n"
        "6,0.20000000298023224,,\n"
        "8,inf,,11.5\n"
    )
    assert float(read(tmp_path)[1]["train/d_adv"]) == 1 / 3


@pytest.mark.parametrize(
    ("saved", "killed"), [(s, k) for k in (2, 4, 6, 8) for s in (0, 2, 4, 6, 8) if s <= k]
)
def test_killed_and_resumed_gives_the_same_bytes(tmp_path, saved, killed):
    log(tmp_path / "whole")
    log(tmp_path / "killed", [entry for entry in LOGGED if entry[0] <= killed])
    log(tmp_path / "killed", [entry for entry in LOGGED if entry[0] > saved], resumed=saved)
    whole, killed_file = (tmp_path / name / "metrics.csv" for name in ("whole", "killed"))
    assert killed_file.read_bytes() == whole.read_bytes()


def test_a_fresh_start_forgets_all_rows(tmp_path):
    log(tmp_path)
    assert log(tmp_path, [(1, {"other": 1.0})]) == "iteration,other\n1,1.0\n"


def test_a_row_cut_short_is_left_out(tmp_path):
    log(tmp_path)
    with (tmp_path / "metrics.csv").open("a") as file:
        file.write("10,0.5")
    assert log(tmp_path, [(12, {"train/d_adv": 1.0})], resumed=100).endswith("11.5\n12,1.0,,\n")


def lose_the_file(path):
    path.unlink()


def lose_the_end(path):
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))


def damage_a_row(path):
    path.write_text(path.read_text().replace("\n4,", "\nfour,"))


def damage_the_header(path):
    path.write_bytes(b"\x00\xff" + path.read_bytes())


@pytest.mark.parametrize(
    ("damage", "lost"),
    [(lose_the_file, 4), (lose_the_end, 2), (damage_a_row, 1), (damage_the_header, 4)],
)
def test_lost_rows_are_told(tmp_path, damage, lost, capsys):
    log(tmp_path)
    logger = CSVLogger(str(tmp_path))
    logger.rewind(8)
    assert logger.rows == 4
    damage(tmp_path / "metrics.csv")
    logger.rewind(8, 4)
    assert f"metrics.csv has lost {lost} of the 4 rows up to iteration 8" in capsys.readouterr().err
    log(tmp_path, resumed=None)
    logger.rewind(8, 4)
    assert capsys.readouterr().err == ""


def test_a_row_on_disk_is_merged_with(tmp_path):
    log(tmp_path)
    logger = CSVLogger(str(tmp_path))
    logger.log_metrics({"val/kid": 0.5}, step=4)
    logger.save()
    assert read(tmp_path)[1]["val/kid"] == "0.5"
    assert [row["iteration"] for row in read(tmp_path)] == ["2", "4", "6", "8"]


def test_logging_20_000_rows_is_quick(tmp_path):
    start = time.perf_counter()
    logger = CSVLogger(str(tmp_path))
    for iteration in range(20_000):
        logger.log_metrics({"a": 0.5, "b": 0.25}, step=iteration)
    logger.save()
    assert len(read(tmp_path)) == 20_000
    # A file rewritten for each row would take minutes.
    assert time.perf_counter() - start < 15


def class_names(configured):
    return [each["class_path"].rpartition(".")[2] for each in configured]


@pytest.mark.parametrize("setting", [None, True])
def test_csv_and_tensorboard_by_default(tmp_path, setting):
    assert class_names(loggers.configure(setting, tmp_path)) == ["CSVLogger", "TensorBoardLogger"]


def test_no_loggers_on_request(tmp_path):
    assert loggers.configure(False, tmp_path) == []


@pytest.fixture
def no_key(tmp_path, monkeypatch):
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


WANDB = Namespace(
    class_path="pytorch_lightning.loggers.WandbLogger",
    init_args=Namespace(project=None, id=None, save_dir=".", offline=False, resume=None),
)


@pytest.mark.usefixtures("no_key")
@pytest.mark.parametrize("setting", [WANDB, [WANDB]])
def test_wandb_comes_besides_and_goes_on_with_its_run(tmp_path, setting):
    folder = tmp_path / "digits" / "seed0"
    configured = loggers.configure(setting, folder)
    assert class_names(configured) == ["CSVLogger", "TensorBoardLogger", "WandbLogger"]
    arguments = configured[-1]["init_args"]
    assert arguments["save_dir"] == str(folder)
    assert (arguments["name"], arguments["resume"]) == ("digits/seed0", "allow")
    assert arguments["offline"]
    assert loggers.configure(setting, folder) == configured


@pytest.mark.usefixtures("no_key")
def test_wandb_is_online_with_a_key(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "k")
    assert not loggers.configure(WANDB, tmp_path / "a")[-1]["init_args"]["offline"]
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password k")
    assert not loggers.configure(WANDB, tmp_path / "b")[-1]["init_args"]["offline"]


SETTINGS = """
seed_everything: 3
model: {class_path: MineGAN, init_args: {lr: 0.5, betas: [0.5, 0.9], stages: [{iterations: 8}]}}
evaluate: {split: val, metrics: [fid, kid], extractor: null}
checkpoint: {best: fid}
"""


def test_tensorboard_has_all_settings(tmp_path):
    logger = TensorBoardLogger(str(tmp_path), name="tensorboard", version="")
    loggers.log_settings([logger], tmp_path)  # a run without settings has none to show
    (tmp_path / "config.yaml").write_text(SETTINGS)
    loggers.log_settings([logger], tmp_path)
    logger.finalize("success")
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert "class_path: MineGAN" in str(events.Tensors("config/text_summary")[0].tensor_proto)
    plugin = "_hparams_/session_start_info"
    content = HParamsPluginData.FromString(
        events.SummaryMetadata(plugin).plugin_data.content
    ).session_start_info.hparams
    assert content["model.init_args.lr"].number_value == 0.5
    assert content["evaluate.extractor"].string_value == "None"
    assert content["model.init_args.betas.1"].number_value == 0.9
    experiment = HParamsPluginData.FromString(
        events.SummaryMetadata("_hparams_/experiment").plugin_data.content
    ).experiment
    assert [info.name.tag for info in experiment.metric_infos] == ["val/fid", "val/kid"]
    assert events.Tags()["scalars"] == []


@pytest.mark.usefixtures("no_key")
def test_wandb_works_without_an_account(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_MODE", "offline")  # undone afterwards: Lightning sets it too
    folder = tmp_path / "digits" / "seed0"
    arguments = loggers.configure(WANDB, folder)[-1]["init_args"]
    logger = WandbLogger(**arguments)
    logger.log_metrics({"train/d_adv": 0.5}, step=3)
    (folder / "config.yaml").write_text(SETTINGS)
    for _ in range(2):  # a run that goes on has its settings already
        loggers.log_settings([logger], folder)
    assert logger.experiment.config["model.init_args.stages.0.iterations"] == 8
    assert logger.experiment.config["seed_everything"] == 3
    assert logger.experiment.id == (folder / "wandb_id.txt").read_text()
    assert logger.experiment.summary["train/d_adv"] == 0.5
    wandb.finish()
    assert list((folder / "wandb").glob("offline-run-*"))
