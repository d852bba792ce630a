"""The game that a release was trained by, for those who go on from it."""

from typing import Any

from torch import nn

from lit_synth.errors import InputError
from lit_synth.losses.games import WGANGP, Game, Hinge, Logistic, Relativistic, r1_gamma
from lit_synth.networks.parts.rebuilding import spec_of
from lit_synth.networks.stylegan2 import StyleGAN2Generator
from lit_synth.releases.format import Release
from lit_synth.runs.telling import warn

GAME = "game"  # name of the fact in a release
PUBLISHED_BATCH = 32  # of StyleGAN2
KNOWN = {
    f"{game.__module__}.{game.__name__}": game for game in (WGANGP, Logistic, Hinge, Relativistic)
}


def game_of(given: Game | None, source: Release | None, lambda_gp: float, n_critic: int) -> Game:
    """Return the game to play: the one that is given, else the source's, else WGAN-GP.

    The user is told of a source's game where it is not WGAN-GP.

    Args:
        given: By the user.
        source: What the networks start from.
        lambda_gp: Weight of WGAN-GP's penalty, where nothing else is said.
        n_critic: Critic minibatches per generator step that the user has.
    """
    if given is not None:
        return given
    fact = None if source is None else source.extra.get(GAME)
    if source is None or fact is None:
        return WGANGP(lambda_gp)
    game = _built(fact, source)
    if isinstance(game, WGANGP):
        return WGANGP(lambda_gp)
    settings = ", ".join(f"{name}={value}" for name, value in game.init_args.items())
    warn(
        f"the source {source.folder.name} was trained by {type(game).__name__}({settings}) with "
        f"n_critic {fact.get('n_critic')}, so this run plays that game, with n_critic {n_critic}; "
        "give game to play another."
    )
    return game


def played(game: Game, n_critic: int) -> dict[str, Any]:
    """Return the facts of a release that say which game trained it."""
    return {GAME: {**spec_of(game), "n_critic": n_critic}}


def published(generator: nn.Module | None) -> dict[str, Any]:
    """Return `played` of public weights, which do not say it, where their family has one game.

    StyleGAN2s play the logistic game; gamma is what the published rule has for their size.
    """
    if not isinstance(generator, StyleGAN2Generator):
        return {}
    gamma = round(r1_gamma(generator.image_size, PUBLISHED_BATCH), 6)
    return played(Logistic(gamma=gamma), n_critic=1)


def _built(fact: Any, source: Release) -> Game:
    spec = fact if isinstance(fact, dict) else {}
    game, settings = KNOWN.get(str(spec.get("class_path"))), spec.get("init_args")
    try:
        if game is not None and isinstance(settings, dict):
            return game(**settings)
    except (TypeError, ValueError):
        pass
    names = ", ".join(each.__name__ for each in KNOWN.values())
    raise InputError(
        f"{source.folder}/config.yaml says that {spec.get('class_path')} trained it, which is no "
        f"game with such settings: give game, one of {names}."
    )
