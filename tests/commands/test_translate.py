"""`translate`: an imported translator makes of each photo of a folder an image of its name."""

import pytest
import torch
from PIL import Image, ImageOps
from public_files import filled

from lit_synth.cli import main
from lit_synth.networks.dcgan import DCGANGenerator
from lit_synth.networks.resnet_translator import ResNetTranslator
from lit_synth.networks.unet import UNet
from lit_synth.releases.format import load_release, save_release
from lit_synth.releases.importers import cyclegan, pix2pix
from lit_synth.releases.importers.layout import to_public

NETWORKS = {
    "cyclegan": (cyclegan, ResNetTranslator(3, 1, 1, 2, bias=True)),
    "pix2pix": (pix2pix, UNet(1, 3, 16, 2)),
}


@pytest.fixture(params=NETWORKS)
def release(request, tmp_path):
    """An imported translator: `latest_net_G.pth` of either."""
    layout, network = NETWORKS[request.param]
    state = filled(network).state_dict()
    (part,) = layout.write({"generator": network}).values()
    public = to_public(part, {f"generator.{key}": tensor for key, tensor in state.items()})
    torch.save(public, tmp_path / "latest_net_G.pth")
    folder = tmp_path / request.param
    assert main(["import", str(tmp_path / "latest_net_G.pth"), "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def photos(tmp_path):
    """Nine photos, one of them in a folder, one grey."""
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for i in range(9):
        wide = Image.effect_noise((30 + i, 20), 80)
        wide = wide if i == 3 else Image.merge("RGB", [wide, wide.rotate(180), wide])
        wide.save(folder / ("more" if i == 8 else "") / f"{i}.png")
    return folder


def translate(release, photos, out, *options):
    return main(["translate", str(release), "--input", str(photos), "--out", str(out), *options])


def test_images_are_those_of_the_network(release, photos, tmp_path):
    out = tmp_path / "made"
    assert translate(release, photos, out, "--image_size", "16") == 0
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))
    assert names == [*(f"{i}.png" for i in range(8)), "more/8.png"]
    network = load_release(release).network("generator")
    mode = {1: "L", 3: "RGB"}[vars(network)["init_args"]["in_channels"]]
    for name in ("3.png", "more/8.png"):
        photo = Image.open(photos / name).convert(mode)
        square = ImageOps.fit(photo, (16, 16), Image.Resampling.LANCZOS)
        x = torch.tensor(list(square.tobytes())).reshape(1, 16, 16, -1).permute(0, 3, 1, 2)
        expected = (network(x / 127.5 - 1)[0] * 127.5 + 128).clamp(0, 255).byte()
        made = torch.tensor(list(Image.open(out / name).tobytes()))
        difference = made.reshape(16, 16, -1) - expected.permute(1, 2, 0).int()
        assert difference.abs().max() <= 1, name


def test_sizes_that_it_does_not_take_are_refused(release, photos, tmp_path, capsys):
    for size in ("18", "4", "0"):
        assert translate(release, photos, tmp_path / "no", "--image_size", size) == 2
    assert translate(release, photos, tmp_path / "whole", "--resize", "stretch") == 0
    own = load_release(release).network("generator").__dict__["init_args"].get("image_size", 256)
    assert Image.open(tmp_path / "whole" / "0.png").size == (own, own)
    assert translate(release, photos, tmp_path / "whole") == 2
    (tmp_path / "nothing").mkdir()
    assert translate(release, tmp_path / "nothing", tmp_path / "no") == 2
    assert translate(release, tmp_path / "nowhere", tmp_path / "no") == 2
    said = capsys.readouterr().err
    assert said.count("\n") == said.count("lit-synth: ") == 6
    assert "whole is not empty" in said
    assert "holds no pictures" in said
    assert not (tmp_path / "no").exists()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (ResNetTranslator(2, 3, 1, 2), "takes images of 2 channels"),
        (UNet(3, 4, 16, 2), "makes some of 4"),
        (DCGANGenerator(16, 3, 4, 2), "DCGANGenerator"),
    ],
)
def test_other_networks_are_refused(network, words, photos, tmp_path, capsys):
    save_release(tmp_path / "release", {"generator": network}, "# Of others\n")
    assert translate(tmp_path / "release", photos, tmp_path / "no") == 2
    assert words in capsys.readouterr().err


def test_a_translator_draws_no_samples(release, tmp_path, capsys):
    assert main(["sample", str(release), "--out", str(tmp_path / "no")]) == 2
    assert "is used as a generator" in capsys.readouterr().err
