"""Latent regression against its loss, written out, and as a source of what starts from one."""

import pytest
import tiny
import torch

from lit_synth.baselines.latent_regression import LatentRegression, laplacian_pyramid
from lit_synth.baselines.rejection import Rejection
from lit_synth.errors import InputError
from lit_synth.features.classifier import ReleaseClassifier
from lit_synth.methods.minegan import MineGAN
from lit_synth.methods.transfergan import TransferGAN
from lit_synth.networks.small import SmallCritic, SmallGenerator
from lit_synth.releases.format import save_release
from lit_synth.stages import Stage

STAGES = [Stage("train", 1)]


def regression(latent_dim=8, **settings):
    torch.manual_seed(0)
    return LatentRegression(SmallGenerator(16, 1, latent_dim, 4), STAGES, **settings)


def rolls(n, r):
    return torch.rand(n, r, generator=torch.Generator().manual_seed(4), dtype=torch.float64)


def slow_pyramid_l1(y, x):
    """Return the sum over levels of the mean |level of y - level of x|, pixel by pixel."""
    total = 0
    while y.shape[-1] > 4:
        smaller = []
        for image in (y, x):
            blocks = image.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
            smaller.append(blocks.mean(dim=(3, 5)))
        repeated = [image.repeat_interleave(2, 2).repeat_interleave(2, 3) for image in smaller]
        total = total + ((y - repeated[0]) - (x - repeated[1])).abs().mean()
        y, x = smaller
    return total + (y - x).abs().mean()


@pytest.mark.parametrize("r", [5, 8, 11])
def test_loss_and_gradients_equal_the_errors_at_every_scale(r):
    method, x, u = regression(lambda_pixel=0.7, lambda_pyramid=0.3), tiny.images(6), rolls(6, r)
    before, rng, record = tiny.iterate(method, {"image": x, "rolls": u})

    z = torch.distributions.Normal(0.0, 1.0).icdf(u[:, :8])
    noise = torch.randn(6, 8 - z.shape[1], generator=rng, dtype=torch.float64)
    y = before.generator(torch.cat([z, noise], dim=1))
    loss = 0.7 * (y - x).abs().mean() + 0.3 * slow_pyramid_l1(y, x)
    torch.testing.assert_close(record.losses[0], loss.detach())
    slow = list(tiny.gradients(loss, before.generator))
    torch.testing.assert_close(record.of(0, "generator"), slow)


def test_a_stage_may_weigh_the_squared_error():
    method, x, u = regression(), tiny.images(6), rolls(6, 8)
    method.stages = [Stage("contrasts", 1, weights={"square": 3.0})]
    before, _, record = tiny.iterate(method, {"image": x, "rolls": u})
    y = before.generator(torch.special.ndtri(u))
    loss = (y - x).abs().mean() + slow_pyramid_l1(y, x) + 3 * ((y - x) ** 2).mean()
    torch.testing.assert_close(record.losses[0], loss.detach())


def test_a_pyramid_adds_up_to_the_image():
    x = tiny.images(2, size=32)
    fine, middle, coarse, rest = laplacian_pyramid(x)
    assert rest.shape[-1] == 4
    for level in (coarse, middle, fine):
        rest = level + rest.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(rest, x)


def test_it_learns_the_images_of_its_latents():
    method, x, u = regression(lr=1e-2), tiny.images(4).float() / 4, rolls(4, 8)
    method.stages = [Stage("train", 80)]
    record = tiny.Minimized(method)
    tiny.fit(method, [{"image": x, "rolls": u}])
    assert record.losses[-1] < 0.6 * record.losses[0]


def test_batches_without_rolls_are_refused():
    with pytest.raises(InputError, match="rolls: true"):
        tiny.fit(regression(), [{"image": tiny.images(2).float()}])


@pytest.mark.usefixtures("workdir")
def test_a_resumed_run_ends_like_one_that_never_stopped():
    whole, data = tiny.build("latent_regression")
    tiny.fit(whole, data)
    half, data = tiny.build("latent_regression")
    half.stages = [Stage("regress", 2)]
    tiny.fit(half, data).save_checkpoint("half.ckpt")
    again, data = tiny.build("latent_regression", seed=1)
    tiny.trainer().fit(again, data, ckpt_path="half.ckpt", weights_only=True)
    assert again.state_dict().keys() == whole.state_dict().keys()
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
        assert not torch.equal(half.state_dict()[name], value), name


@pytest.mark.usefixtures("workdir")
def test_its_release_is_a_source():
    method = regression()
    save_release("regressed", method.release()[0], "# regressed\n")
    critic, z = SmallCritic(16, 1, 4), torch.randn(3, 8)
    classifier = ReleaseClassifier("sources/classifier")
    sources = [
        Rejection("regressed", classifier, [1], STAGES).generator,
        TransferGAN(None, critic, STAGES, source="regressed").generator,
        MineGAN(["regressed"], STAGES, critic=critic).generators[0],
    ]
    for generator in sources:
        assert torch.equal(generator(z), method.generate({"z": z}))
