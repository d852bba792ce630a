"""`import`, `sample` and `export`, from the file of weights to images and back."""

import json
import sys

import onnxruntime
import pytest
import torch
from PIL import Image
from public_files import filled

from lit_synth.cli import main
from lit_synth.networks.dcgan import DCGANCritic, DCGANGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.releases.format import load_release, save_release
from lit_synth.releases.importers import dcgan, stylegan2_ada
from lit_synth.releases.importers.layout import to_public


def states(layout, **networks):
    own = {
        f"{name}.{key}": tensor
        for name, network in networks.items()
        for key, tensor in filled(network).state_dict().items()
    }
    return {place: to_public(part, own) for place, part in layout.write(networks).items()}


@pytest.fixture
def release(tmp_path):
    """An imported DCGAN without a critic."""
    made = states(dcgan, generator=DCGANGenerator(image_size=16, latent_dim=4, width=2))
    torch.save(made["netG"], tmp_path / "netG.pth")
    folder = tmp_path / "release"
    command = ["import", str(tmp_path / "netG.pth"), "--out", str(folder)]
    assert main([*command, "--license", "CC BY-NC 4.0"]) == 0
    return folder


def test_the_report_accounts_for_the_file(release):
    card, account = (
        (release / "card.md").read_text(),
        json.loads((release / "import.json").read_text()),
    )
    assert "Licence: CC BY-NC 4.0" in card
    assert "MineGAN and TransferGAN need a fresh one" in card
    assert account["file_sha256"] in card
    assert account["parameters"]["generator"] == 16 * (4 * 4 + 4 * 2 + 2 * 3) + 2 * (4 + 2)
    assert account["tensors_sha256"]["generator"] in card
    assert account["used"][""][:2] == ["main.0.weight", "main.1.weight"]
    assert account["missing"] == account["left_over"] == []
    for truncation in ("1", "0.7"):
        assert Image.open(release / f"sample-{truncation}.png").size[0] > 64


def test_without_a_licence_none_is_stated(tmp_path, release):
    command = ["import", str(release.parent / "netG.pth"), "--out", str(tmp_path / "again")]
    assert main(command) == 0
    assert "Licence: not stated" in (tmp_path / "again" / "card.md").read_text()
    assert main(command) == 2  # it is there


def test_sample_writes_what_the_generator_draws(tmp_path, release, capsys):
    out = tmp_path / "images"
    assert main(["sample", str(release), "--n", "5", "--seed", "3", "--out", str(out)]) == 0
    assert [path.name for path in sorted(out.iterdir())] == [f"{i:06d}.png" for i in range(5)]
    z = torch.randn(5, 4, generator=torch.Generator().manual_seed(3))
    drawn = load_release(release).network("generator")(z)
    pixels = torch.tensor(list(Image.open(out / "000004.png").get_flattened_data()))
    expected = (drawn[4] * 127.5 + 128).clamp(0, 255).to(torch.uint8).flatten(1).T
    assert torch.equal(pixels, expected.long())
    again = ["sample", str(release), "--out", str(out)]
    assert main(again) == 2
    for wrong in (["--n", "0"], ["--truncation", "2"], ["--classes", "1"], ["--classes", "x"]):
        assert main(["sample", str(release), "--out", str(tmp_path / "no"), *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 5


@pytest.mark.parametrize("name", ["both.pth", "both.safetensors"])
def test_export_gives_the_file_back(tmp_path, name):
    pair = {"generator": DCGANGenerator(16, 3, 4, 2), "critic": DCGANCritic(16, 3, 2)}
    content = states(dcgan, **pair)
    torch.save(content, tmp_path / "given.pth")
    folder = str(tmp_path / "release")
    assert main(["import", str(tmp_path / "given.pth"), "--out", folder]) == 0
    out = str(tmp_path / name)
    assert main(["export", folder, "--layout", "dcgan", "--out", out]) == 0
    assert main(["import", out, "--out", str(tmp_path / "again")]) == 0
    first, second = (load_release(tmp_path / each) for each in ("release", "again"))
    assert first.sha256 == second.sha256
    if name.endswith(".pth"):
        given = torch.load(out)
        assert given.keys() == content.keys()
        for place, state in content.items():
            assert all(torch.equal(given[place][key], tensor) for key, tensor in state.items())


def test_a_layout_without_a_place_for_the_networks_is_refused(tmp_path, release, capsys):
    out = str(tmp_path / "x.pth")
    assert main(["export", str(release), "--layout", "pgan", "--out", out]) == 2
    assert "DCGANGenerator" in capsys.readouterr().err
    assert main(["export", str(release), "--layout", "nothing", "--out", out]) == 2


def test_a_program_draws_the_releases_images(tmp_path, release):
    out = tmp_path / "generator.pt2"
    assert main(["export", str(release), "--layout", "torch-export", "--out", str(out)]) == 0
    program = torch.export.load(out).module()
    z = torch.randn(7, 4)
    torch.testing.assert_close(program(z), load_release(release).network("generator")(z))
    report = json.loads((tmp_path / "generator.pt2.json").read_text())
    assert report["largest_difference"] < 1e-5
    assert report["licence"] == "CC BY-NC 4.0"


def test_sources_are_ranked_and_those_without_a_critic_named(tmp_path, release, capsys):
    target = tmp_path / "target"
    assert main(["sample", str(release), "--n", "8", "--seed", "9", "--out", str(target)]) == 0
    generator = filled(StyleGAN2Generator(16, 3, 5, 4, 64, 4, 2))
    content = states(stylegan2_ada, generator=generator)
    torch.save(content["G_ema"], tmp_path / "ada.pth")
    other = str(tmp_path / "ada")
    assert main(["import", str(tmp_path / "ada.pth"), "--out", other]) == 0
    capsys.readouterr()
    command = ["rank-sources", str(release), other, "--target", str(target)]
    assert main([*command, "--extractor", "random", "--n", "8"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Without a critic:" in said
    assert said.index("Without a critic") < said.index("a fresh one")
    fakes = tmp_path / "fakes"
    assert main(["sample", other, "--n", "8", "--out", str(fakes)]) == 0
    words = ["--extractor", "random", "--out"]
    assert main(["evaluate", str(target), str(fakes), *words, str(tmp_path / "a.json")]) == 0
    assert main(["evaluate", str(target), other, *words, str(tmp_path / "b.json")]) == 0
    of_folder, of_release = (json.loads((tmp_path / f"{each}.json").read_text()) for each in "ab")
    assert of_release["values"] == of_folder["values"]


def test_older_releases_are_sampled_too(tmp_path):
    save_release(tmp_path / "r", {"generator": DCGANGenerator(16, 3, 4, 2)}, "# A card\n")
    assert main(["sample", str(tmp_path / "r"), "--n", "1", "--out", str(tmp_path / "i")]) == 0


def test_onnx_asks_for_its_packages(tmp_path, release, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as where it is not installed
    out = str(tmp_path / "g.onnx")
    assert main(["export", str(release), "--layout", "onnx", "--out", out]) == 2
    assert "pip install 'lit-synth[onnx]'" in capsys.readouterr().err


def test_onnx_draws_the_releases_images(tmp_path, release):
    out = tmp_path / "g.onnx"
    assert main(["export", str(release), "--layout", "onnx", "--out", str(out)]) == 0
    z = torch.randn(3, 4)
    session = onnxruntime.InferenceSession(str(out))
    (made,) = session.run(None, {session.get_inputs()[0].name: z.numpy()})
    expected = load_release(release).network("generator")(z)
    torch.testing.assert_close(torch.from_numpy(made), expected, atol=1e-5, rtol=1e-4)


def test_classes_may_have_names(tmp_path, capsys):
    generator = filled(StyleGAN2Generator(16, 3, 5, 4, 64, 4, 2, 3))
    torch.save(states(stylegan2_ada, generator=generator)["G_ema"], tmp_path / "ada.pth")
    names, folder = tmp_path / "names.txt", str(tmp_path / "r")
    command = ["import", str(tmp_path / "ada.pth"), "--out", folder, "--class_names", str(names)]
    names.write_text("cat\ndog\n")
    assert main(command) == 2
    names.write_text("cat\ndog\nwild\n")
    assert main(command) == 0
    for classes, out in {"dog": "by_name", "1": "by_number"}.items():
        given = ["--n", "2", "--classes", classes, "--out", str(tmp_path / out)]
        assert main(["sample", folder, *given]) == 0
    for file in ("000000.png", "000001.png"):
        named, numbered = (tmp_path / out / file for out in ("by_name", "by_number"))
        assert named.read_bytes() == numbered.read_bytes()
    capsys.readouterr()
    assert main(["sample", folder, "--classes", "dogs", "--out", str(tmp_path / "no")]) == 2
    assert "did you mean dog?" in capsys.readouterr().err
