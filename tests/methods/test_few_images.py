"""Games, ADA, LeCam and FreezeD in the methods that take them: resume, releases, mini-batches."""

import pytest
import tiny
import torch
import yaml

from lit_synth.augment.ada import ADA
from lit_synth.baselines.wgan_gp import WGANGP
from lit_synth.inference.loading import load_method
from lit_synth.losses import games
from lit_synth.losses.lecam import LeCam
from lit_synth.methods.minegan import MineGAN
from lit_synth.methods.transfergan import TransferGAN
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.networks.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from lit_synth.releases.format import load_release, save_release
from lit_synth.stages import Stage

pytestmark = pytest.mark.usefixtures("workdir")

STAGES = [Stage("train", 8)]
GAMES = [games.WGANGP, games.Logistic, games.Hinge, games.Relativistic]


def networks():
    return SmallGenerator(16, 1, 8, 4), SmallCritic(16, 1, 4)


METHODS = {
    "wgan_gp": lambda **given: WGANGP(*networks(), STAGES, **given),
    "transfergan": lambda **given: TransferGAN(*networks(), STAGES, "sources/plain", **given),
    "minegan": lambda **given: MineGAN(
        ["sources/plain", "sources/other"], STAGES, u_dim=4, hidden=[8], **given
    ),
}


def method(name, **given):
    torch.manual_seed(0)
    return METHODS[name](**({"n_critic": 2} | given))


def batches(count=8):
    return [{"image": tiny.images(8, seed=seed).float()} for seed in range(count)]


def limited():
    """Everything with a state at once: p moves in every second step, and above 0 from the start."""
    return {
        "game": games.Logistic(every=3),
        "augment": ADA(p=0.4, kimg=0.2, interval=2),
        "lecam": LeCam(),
    }


@pytest.mark.parametrize("name", METHODS)
def test_a_resumed_run_goes_on_bit_for_bit_with_p_and_running_means(name):
    whole = method(name, **limited())
    tiny.fit(whole, batches())
    half = method(name, **limited())
    half.stages = [Stage("train", 3)]
    run = tiny.fit(half, batches(3))
    run.save_checkpoint("half.ckpt")
    torch.manual_seed(9)
    again = METHODS[name](n_critic=2, **limited())
    tiny.trainer().fit(
        again,
        torch.utils.data.DataLoader(batches()[3:], batch_size=None),
        ckpt_path="half.ckpt",
        weights_only=True,
    )
    assert again.iteration == 8
    found, expected = again.state_dict(), whole.state_dict()
    assert {"augment.p", "augment.steps", "lecam.a_real"} <= expected.keys()
    assert 0 < expected["augment.p"] != torch.tensor(0.4)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("name", METHODS)
def test_every_method_plays_every_game(name, game):
    played = method(name, game=game())
    terms, before = tiny.tracked_terms(played), tiny.state(played)
    tiny.fit(played, batches())
    logged = set().union(*terms)
    assert {"d_adv", "r_t"} <= logged
    assert ("d_r1" in logged) == (game in (games.Logistic, games.Relativistic))
    assert {"critic"} < tiny.changed_networks(before, tiny.state(played))


@pytest.mark.parametrize("name", METHODS)
def test_a_critic_that_couples_images_never_has_real_and_made_ones_in_a_batch(name):
    critic = StyleGAN2Discriminator(16, 1, 64, 8)
    seen, x = [], torch.ones(8, 1, 16, 16)
    critic.register_forward_pre_hook(lambda _, args: seen.append((args[0] == 1).flatten(1).all(1)))
    torch.manual_seed(0)
    given = {"game": games.Relativistic(), "n_critic": 1}
    if name == "minegan":
        played = METHODS[name](critic=critic, **given)
    elif name == "transfergan":
        played = TransferGAN(networks()[0], critic, STAGES, "sources/plain", init_d=False, **given)
    else:
        played = WGANGP(networks()[0], critic, STAGES, **given)
    tiny.fit(played, [{"image": x}] * 8)
    assert all(real.all() or not real.any() for real in seen)
    assert {bool(real.all()) for real in seen} == {True, False}


def test_the_path_length_is_paid_by_stylegan2_from_scratch():
    torch.manual_seed(0)
    pair = StyleGAN2Generator(16, 1, 8, 8, 64, 8, 2), StyleGAN2Discriminator(16, 1, 64, 8)
    played = WGANGP(*pair, STAGES, n_critic=1, game=games.Logistic(lambda_path=2.0, path_every=3))
    terms = tiny.tracked_terms(played)
    tiny.fit(played, batches())
    steps = [each for each in terms if "g_adv" in each]
    assert ["g_path" in step for step in steps] == [True, False, False] * 2 + [True, False]
    assert played.game.path_mean > 0


def source_of_game(folder, game):
    """Write a release that says that a game trained it."""
    release = load_release("sources/plain")
    fact = {"game": {"class_path": game, "init_args": {"gamma": 3.0}, "n_critic": 1}}
    save_release(folder, release.networks, "# source\n", fact)
    return folder


@pytest.mark.parametrize("name", ["transfergan", "minegan"])
def test_the_sources_game_is_the_default_and_the_user_is_told(name, capsys):
    source = source_of_game("logistic", "lit_synth.losses.games.Logistic")
    given = {"minegan": (MineGAN, ([source], STAGES)), "transfergan": (TransferGAN, (None, None))}
    kind, arguments = given[name]
    more = {"stages": STAGES, "source": source} if name == "transfergan" else {"u_dim": 4}
    played = kind(*arguments, **more)
    assert isinstance(played.game, games.Logistic)
    assert played.game.gamma == 3
    assert "was trained by Logistic(gamma=3.0" in capsys.readouterr().err
    assert isinstance(kind(*arguments, game=games.Hinge(), **more).game, games.Hinge)
    assert capsys.readouterr().err == ""


def test_a_source_of_no_known_game_is_refused():
    with pytest.raises(ValueError, match=r"os\.system trained it, which is no game"):
        TransferGAN(None, None, STAGES, source_of_game("odd", "os.system"))


@pytest.mark.parametrize("name", METHODS)
def test_a_release_says_which_game_trained_it(name):
    played = method(name, game=games.Relativistic(gamma=0.5))
    _, facts = played.release()
    assert facts["game"] == {
        "class_path": "lit_synth.losses.games.Relativistic",
        "init_args": {"gamma": 0.5},
        "n_critic": 2,
    }


def test_a_run_with_all_of_it_is_had_back_from_its_release(tmp_path):
    from lit_synth.cli import main

    settings = yaml.safe_load((tiny.CONF / "transfergan.yaml").read_text())
    settings["model"]["init_args"] |= {
        "game": {"class_path": "Logistic", "init_args": {"every": 2}},
        "augment": {"class_path": "ADA", "init_args": {"p": 0.3}},
        "lecam": {"weight": 0.1},
    }
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(settings))
    assert main(["fit", "--config", str(tmp_path / "few.yaml")]) == 0
    again = load_method("runs/few/seed0/release")
    assert isinstance(again.game, games.Logistic)
    assert again.game.every == 2
    assert tiny.draw(again).shape == (6, 1, 16, 16)


def test_frozen_layers_of_a_mined_critic_keep_the_sources_weights():
    played = method("minegan", freeze_d=1)
    tiny.fit(played, batches())
    source = load_release("sources/plain").network("critic").state_dict()
    body = {key: value for key, value in played.critic.state_dict().items() if "body" in key}
    same = {key for key, value in body.items() if torch.equal(value, source[key])}
    assert same == {"body.0.weight", "body.0.bias"}


def test_members_of_a_supersample_are_augmented_alike():
    played = method("minegan", augment=ADA(p=0.8), game=games.Logistic())
    twin = played.mine(torch.zeros(8, 4), 0)
    played.mine = lambda *_: twin
    seen = []
    played.critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    played.best_of(torch.zeros(8, 2, 4))
    first, second = torch.cat(seen).chunk(2)
    assert torch.equal(first, second)
    assert not torch.equal(first, twin)
