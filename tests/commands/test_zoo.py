"""`lit-synth zoo`, and half precision, in which large releases are bundled."""

import pytest
import torch

from lit_synth.cli import main
from lit_synth.releases.format import bundled, find_release, load_release


def test_zoo_says_what_each_bundled_release_is(capsys):
    assert main(["zoo"]) == 0
    blocks = capsys.readouterr().out.split("\n\n")[0]
    assert [line for line in blocks.splitlines() if line[0] != " "] == bundled()
    assert blocks.count("licence: Apache-2.0") == len(bundled())
    for name in bundled():
        assert f"card: {find_release(name) / 'card.md'}" in blocks


@pytest.mark.parametrize("name", [n for n in bundled() if "classifier" not in n])
def test_a_bundled_generator_is_sampled_by_its_name(name, tmp_path):
    assert main(["sample", name, "--n", "2", "--out", str(tmp_path / "made")]) == 0
    assert len(list((tmp_path / "made").glob("*.png"))) == 2


def test_half_precision_halves_a_release_and_loads_in_float32(tmp_path):
    out = tmp_path / "half"
    assert main(["export", "digits-0-4", "--layout", "half", "--out", str(out)]) == 0
    whole, half = load_release("digits-0-4"), load_release(out)
    sizes = [(r.folder / "model.safetensors").stat().st_size for r in (whole, half)]
    assert sizes[1] < 0.55 * sizes[0]
    assert (out / "card.md").read_text() == (whole.folder / "card.md").read_text()
    for name, tensor in whole.network("generator").state_dict().items():
        ours = half.network("generator").state_dict()[name]
        assert ours.dtype == tensor.dtype
        torch.testing.assert_close(ours, tensor, rtol=1e-3, atol=1e-6)
