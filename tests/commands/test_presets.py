"""`lit-synth presets`: the published rule, and a YAML that trains."""

from pathlib import Path

import pytest
import tiny
import yaml

from lit_synth.cli import main
from lit_synth.training.presets import preset


@pytest.mark.parametrize(
    ("size", "images", "batch", "gamma", "lr"),
    [
        (256, 5000, 16, 0.8192, 0.0025),  # 0.0002 x 65536 / 16
        (1024, 70000, 4, 52.4288, 0.002),
        (64, 100, 32, 0.0256, 0.0025),
        (64, 10, 8, 0.1024, 0.0025),  # no more than there are
    ],
)
def test_settings_follow_the_published_rule(size, images, batch, gamma, lr):
    found = preset(size, images, source=False)
    assert (found.batch_size, found.lr) == (batch, lr)
    assert found.gamma == pytest.approx(gamma)
    assert found.half_life_kimg == pytest.approx(batch * 10 / 32)
    assert found.epoch * batch >= images > (found.epoch - 1) * batch
    assert (found.ada_kimg, preset(size, images, source=True).ada_kimg) == (500, 100)


@pytest.mark.usefixtures("workdir")
def test_what_it_prints_goes_into_a_configuration_that_trains(capsys):
    assert main(["presets", "--image_size", "16", "--images", "32", "--source"]) == 0
    printed = capsys.readouterr().out
    assert "gamma = 0.0002 x 16^2 / 32 = 0.0016" in printed
    settings, own = (
        yaml.safe_load(printed),
        yaml.safe_load((tiny.CONF / "transfergan.yaml").read_text()),
    )
    own["model"]["init_args"] |= settings["model"]["init_args"]
    own["trainer"] |= {**settings["trainer"], "log_every_n_steps": 2}
    del own["trainer"]["logger"]
    Path("few.yaml").write_text(yaml.safe_dump(own))
    assert main(["fit", "--config", "few.yaml"]) == 0
    run = Path("runs", "few", "seed0")
    header = (run / "metrics.csv").read_text().splitlines()[0]
    for column in ("train/r_t", "train/ada_p", "train/held_out_real"):
        assert column in header
    assert "by heart" in (run / "report.html").read_text()


def test_nonsense_is_refused(capsys):
    assert main(["presets", "--image_size", "64", "--images", "0"]) == 2
    assert "--images is 0: expected at least 1." in capsys.readouterr().err
