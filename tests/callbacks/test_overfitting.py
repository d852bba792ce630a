"""The gauge of a critic's overfit: what it counts, and that it changes nothing."""

import pytest
import tiny
import torch

from lit_synth.callbacks.log_terms import LogTerms
from lit_synth.callbacks.overfitting import Overfitting
from lit_synth.errors import InputError
from lit_synth.losses.games import Logistic

pytestmark = pytest.mark.usefixtures("workdir")


class ByHeart(torch.nn.Module):
    """A critic that takes for real exactly the images that it was shown, and -1 for the rest."""

    def __init__(self, known):
        super().__init__()
        self.known, self.weight = known.flatten(1), torch.nn.Parameter(torch.zeros(()))

    def forward(self, x):
        near = torch.cdist(x.flatten(1), self.known).amin(dim=1)
        return 2.0 * (near < 0.1) - 1 + 0 * self.weight * x.mean(dim=(1, 2, 3))


def gauged(**settings):
    method, data = tiny.build("wgan_gp", game=Logistic(), **settings)
    return method, data


def test_a_critic_that_knows_its_images_takes_them_alone_for_real():
    method, data = gauged()
    data.setup("fit")
    training = data.split("train")
    method.critic = ByHeart(training.fetch(range(len(training)))["image"])
    terms, gauge = tiny.tracked_terms(method), Overfitting(every_n_iterations=2, n=16)
    tiny.fit(method, data, callbacks=[LogTerms(), gauge])
    found = [each for each in terms if "seen_real" in each]
    assert found == [{"seen_real": 1.0, "held_out_real": 0.0}] * 2


def test_a_run_with_the_gauge_has_the_same_weights():
    states = []
    for callbacks in ([], [Overfitting(every_n_iterations=1, n=8)]):
        method, data = gauged()
        tiny.fit(method, data, callbacks=callbacks)
        states.append(tiny.state(method))
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_a_method_without_a_game_is_refused():
    method, data = tiny.build("vae")
    with pytest.raises(InputError, match="VAE has none: leave it out"):
        tiny.fit(method, data, callbacks=[Overfitting()])
