"""Translators of known quality between biased domains: what they are found to be."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from tiny_world import COLOURS, TinyWorld
from toy_run import fit, trainer_of

from datamodules.attributes import Attributes
from datamodules.biased import Biased
from lit_synth.callbacks.checkpoint import Checkpoint
from lit_synth.callbacks.evaluate import Evaluate
from lit_synth.contracts.translator import Translation
from lit_synth.errors import InputError
from lit_synth.evaluation.settings import EvaluationSettings
from lit_synth.evaluation.translation import bias, measures
from lit_synth.evaluation.translation.bias import BiasJudges
from lit_synth.evaluation.translation.styles import StyleMeasures
from lit_synth.features import identity
from lit_synth.features.identity import IdentityEmbedding
from lit_synth.features.perceptual import BundledDistance
from lit_synth.method import Method
from lit_synth.metrics.card import read_card
from lit_synth.runs.resume import find_checkpoint
from lit_synth.runs.user_cache import cache_folder
from lit_synth.stages import Stage

N, STYLES = 12, 5
SETTINGS = EvaluationSettings(n_fake=100, batch_size=16, seed=3)
BRIEF, HASTY = 120, 2  # iterations that train a judge: where its verdicts matter, and do not
WAYS = [Translation(("black",), ("red",)), Translation(("red",), ("black",))]
NAMES = [each.name for each in WAYS]
LEAST, MOST = 0.6, 1.0  # shades of the world


def biased(kind=Biased, **changes):
    arguments = {
        "source": TinyWorld(),
        "wanted": "colour",
        "unwanted": ["texture"],
        "domains": {
            "black": [{"images": 40, "colour": "black", "texture": "flat"}],
            "red": [{"images": 40, "colour": "red", "texture": "textured"}],
        },
        "n_val": N,
        "n_test": N,
        "n_judging": 240,
        "batch_size": 4,
    }
    return kind(**{**arguments, **changes})


def inside(images):
    """Return where the square is, (N, 1, H, W): its green is darker than any background."""
    return (images[:, 1:2] < -0.5).float()


def shade(images):
    """Return the shade (N,) of the squares: their green is 30 in the lightest."""
    green = (images[:, 1:2] + 1) * 127.5 * inside(images)
    return green.amax((1, 2, 3)) / 30


class Still(Method):
    """Leaves images as they are."""

    def __init__(self):
        super().__init__([Stage("only", 2)])
        self.net = torch.nn.Conv2d(1, 1, 1)
        self.asked = []

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)

    def training_step(self, batch):  # noqa: ARG002
        (optimizer,) = self.optimizers()
        self.minimize(self.net.weight.square().sum(), optimizer)

    def translations(self):
        return WAYS

    def translate(self, x, translation):
        (source,) = translation.sources
        self.asked.append((translation, x.get("style")))
        return x[source]

    def generate(self, batch):
        return self.translate(batch, WAYS[0])


class Recolourer(Still):
    """Gives squares the target's colour, keeps their texture, and draws their shade anew."""

    style_dim = 2

    def translate(self, x, translation):
        images = super().translate(x, translation)
        mask, green = inside(images), (images[:, 1:2] + 1) / 2
        # The first number of a style, in [0, 1] by its rank among normal ones, is the shade.
        rank = torch.distributions.Normal(0, 1).cdf(x["style"][:, 0])
        drawn = LEAST + (MOST - LEAST) * rank
        print_ = green * (drawn / shade(images)).view(-1, 1, 1, 1) / (30 / 255)
        colour = COLOURS[int(translation.target == "red")].view(1, 3, 1, 1) / 255
        return torch.where(mask == 1, 2 * colour * print_ - 1, images)

    def read_styles(self, images, domain):
        assert domain in ("black", "red")
        rank = ((shade(images) - LEAST) / (MOST - LEAST)).clamp(1e-4, 1 - 1e-4)
        return torch.distributions.Normal(0, 1).icdf(rank)[:, None].expand(-1, 2)

    def attention(self, x, translation):
        return 0.25 + 0.5 * inside(x[translation.sources[0]])


class Printer(Recolourer):
    """Recolours, and prints a texture on every square; its own judge sees none."""

    judged_attribute = "texture"

    def translate(self, x, translation):
        made = super().translate(x, translation)
        rows = (torch.arange(16) % 2).view(1, 1, 16, 1) * inside(x[translation.sources[0]])
        return torch.where(rows == 1, 0.4 * (made + 1) - 1, made)

    def judge(self, images):
        return torch.tensor([1.0, 0.0]).expand(len(images), 2)


class Noisy(Still):
    """Adds noise of its own to every style."""

    style_dim = 2

    def translate(self, x, translation):
        images = super().translate(x, translation)
        rng = torch.Generator().manual_seed(len(self.asked))
        return (images + 0.3 * torch.randn(images.shape, generator=rng)).clamp(-1, 1)


class Blurred(Recolourer):
    """Recolours, and averages over the neighbourhood of each pixel."""

    def translate(self, x, translation):
        return torch.nn.functional.avg_pool2d(super().translate(x, translation), 3, 1, 1)


METHODS = (Still, Recolourer, Printer, Noisy, Blurred)


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory):
    """Train judges on clearer images than usual, once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIT_SYNTH_CACHE", str(tmp_path_factory.mktemp("cache")))
        quick = {name: replace(r, noise=0.02) for name, r in bias.JUDGES.items()}
        patch.setattr(bias, "JUDGES", quick)
        yield


@pytest.fixture(scope="module")
def judge():
    return judge_of(biased())


def judge_of(data, faces=None, iterations=BRIEF):
    bias = BiasJudges(data, cache_folder(), iterations)
    device = torch.device("cpu")
    return StyleMeasures(data, STYLES, SETTINGS, BundledDistance(), bias, device, faces)


@pytest.fixture(scope="module")
def found(judge):
    return {each: judge.measure(each().eval(), "val") for each in METHODS}


@pytest.mark.parametrize(("name", "who"), list(product(NAMES, ("f1", "f2", "free"))))
def test_leaving_images_alone_is_measured_beside(found, name, who):
    values = found[Still]
    assert values[f"{name}/misclassified_{who}"] <= (0 if who == "free" else 0.1)
    assert values[f"{name}/wanted_{who}"] <= (0 if who == "free" else 0.1)
    alone = {k: v for k, v in values.items() if k.startswith(f"identity/{name}")}
    assert alone == {f"identity/{k}": values[k] for k in values if f"identity/{k}" in alone}
    assert f"identity/{name}/joint_{who}" in alone
    for metric in ("diversity", "shade_std", "change_inside", "change_net", "cycle_l1"):
        assert values[f"{name}/{metric}"] == 0


@pytest.mark.parametrize("who", ["f1", "f2", "free"])
def test_a_perfect_recolourer(found, who):
    slip = 0 if who == "free" else 0.15  # the others have learned briefly
    for name in NAMES:
        values = found[Recolourer]
        assert values[f"{name}/joint_{who}"] >= 1 - slip
        assert values[f"{name}/wanted_{who}"] >= 1 - slip
        assert values[f"{name}/misclassified_{who}"] <= slip


def test_it_differs_where_and_as_much_as_true_styles_do(found):
    values = found[Recolourer]
    for name in NAMES:
        assert values[f"{name}/diversity_outside"] == values[f"{name}/diversity_outside_true"] == 0
        assert values[f"{name}/change_outside"] == values[f"{name}/floor_outside"] == 0
        assert values[f"{name}/change_inside"] > 0.1
        for metric in ("diversity", "diversity_inside", "shade_std"):
            ratio = values[f"{name}/{metric}"] / values[f"{name}/{metric}_true"]
            assert 0.5 < ratio < 2, metric
        assert values[f"{name}/attention_inside"] == pytest.approx(0.75)
        assert values[f"{name}/attention_outside"] == pytest.approx(0.25)
        assert values[f"{name}/cycle_l1"] < 0.01  # back in their own styles


def test_diversity_counts_where_content_is_kept_as_a_share_of_the_true_one(found):
    kept = {kind: [found[kind][f"{name}/diversity_kept"] for name in NAMES] for kind in METHODS}
    assert all(0.5 < share < 1.5 for share in kept[Recolourer])
    assert kept[Still] == [0, 0]
    # A print on what is flat loses the content, one on what has a texture does not.
    assert kept[Printer][0] <= 0.1 < 0.5 < kept[Printer][1]
    # Noise differs more than true styles do, which once won, and blur about as much.
    for bad, least in ((Noisy, 1), (Blurred, 0.6)):
        values = {name.removeprefix(f"{NAMES[0]}/"): each for name, each in found[bad].items()}
        assert values["diversity_inside"] > least * values["diversity_inside_true"]
        assert values["diversity_kept"] < 0.5
        assert values["joint_free"] < 0.5


def test_judges_that_read_different_values_are_counted(monkeypatch):
    judge, read = judge_of(biased()), {"f1": 0, "f2": 0}

    def logits(who, _, images):
        value = torch.full(images.shape[:2], read[who])
        return torch.nn.functional.one_hot(value, 2).float()

    monkeypatch.setattr(judge.bias, "_logits", logits)
    monkeypatch.setattr(judge.bias, "refuse_seen", lambda *_: None)
    # Black squares are flat and red ones textured, as the rule reads off the pixels.
    values = judge.measure(Recolourer().eval(), "val")
    assert [values[f"{name}/disagreement_texture"] for name in NAMES] == [0, 1]
    read["f2"] = 1
    values = judge.measure(Recolourer().eval(), "val")
    assert [values[f"{name}/disagreement_texture"] for name in NAMES] == [1, 1]


def test_rules_allow_for_what_a_method_leaves_on_its_copies():
    class Allowing(TinyWorld):
        def calibrate(self, copies, fields):
            read = super().verdicts(copies, fields)
            return {"printed": (read["texture"] != fields["texture"]).double().mean()}

        def verdicts(self, images, fields):
            read = super().verdicts(images, fields)
            return read | {"texture": fields["texture"]} if "printed" in fields else read

    judge = judge_of(biased(source=Allowing()), iterations=HASTY)
    values = judge.measure(Printer().eval(), "val")
    assert values[f"{NAMES[0]}/misclassified_free"] == 0
    assert "Rule `free`, by Printer's copies of inputs: printed 0.500." in judge.notes


@pytest.mark.parametrize("who", ["f1", "f2", "free"])
def test_a_printer_takes_the_bias_for_the_wish(found, who):
    values, slip = found[Printer], 0 if who == "free" else 0.15
    # What is flat in the domain of black squares gets a texture; what has one gets a second.
    assert values[f"{NAMES[0]}/misclassified_{who}"] >= 1 - slip
    assert values[f"{NAMES[0]}/wanted_{who}"] >= 1 - slip
    assert values[f"{NAMES[0]}/joint_{who}"] <= slip
    assert values[f"{NAMES[1]}/misclassified_{who}"] <= slip
    if who != "free":
        assert values[f"{NAMES[0]}/confidence_drop_{who}"] > 0.5


def test_its_own_judge_does_not_count(found):
    values = found[Printer]
    assert values[f"{NAMES[0]}/misclassified_h"] == 0
    assert values[f"{NAMES[0]}/misclassified"] > 0.8
    assert values[f"identity/{NAMES[1]}/misclassified_h"] == 1  # it misreads what is textured
    assert f"{NAMES[0]}/misclassified_h" not in found[Recolourer]


def test_all_inputs_and_methods_have_the_same_styles(judge):
    asked = []
    for kind in (Recolourer, Printer):
        method = kind().eval()
        judge.measure(method, "val")
        styles = [s for way, s in method.asked if way == WAYS[0] and len(s) == 3 * STYLES]
        asked.append(torch.cat(styles).reshape(-1, STYLES, 2))
    assert torch.equal(*asked)
    assert len(asked[0]) == N
    assert torch.equal(asked[0], asked[0][:1].expand(N, -1, -1))
    assert len(asked[0][0].unique(dim=0)) == STYLES


class Mean(IdentityEmbedding):
    """Whose a square is, is the colour of the picture on average."""

    name = sha256 = "mean"

    def embed(self, images):
        return images.mean((2, 3))


def test_the_distance_to_the_same_person_and_to_others():
    data = biased()
    judge = judge_of(data, faces=Mean(), iterations=HASTY)
    values = judge.measure(Still().eval(), "val")
    x = data.split("val").fetch(range(N))["black"].mean((2, 3))
    assert values[f"{NAMES[0]}/identity_distance"] == pytest.approx(0, abs=1e-6)
    apart = [1 - torch.cosine_similarity(x[i : i + 1], x[(i + 1) % N][None]) for i in range(N)]
    found = values[f"{NAMES[0]}/identity_distance_others"]
    assert found == pytest.approx(float(torch.cat(apart).mean()), rel=1e-4)
    assert any("Identity: mean" in note for note in judge.notes)


@pytest.mark.parametrize(("photos", "learned"), [(240, True), (6, False)])
def test_who_it_is_is_learned_from_several_photos_of_each(tmp_path, monkeypatch, photos, learned):
    class People(Biased):
        def identity_set(self):
            images, _ = self.judging_set("texture", 5)
            return images[:photos], torch.arange(240)[:photos] % 4

    monkeypatch.setattr(identity, "RECIPE", replace(identity.RECIPE, iterations=2))
    judge = Evaluate(2, metrics=[], styles=1, judge_iterations=HASTY)
    fit(tmp_path, judge, method=Still, data=biased(kind=People))
    assert (f"{NAMES[0]}/identity_distance" in judge.latest) is learned


def test_images_that_a_judge_was_trained_on_are_refused():
    class Leaky(Biased):
        def judging_set(self, attribute, number):
            images, values = super().judging_set(attribute, number)
            return torch.cat([images, self.split("val").fetch([0])["black"]]), torch.cat(
                [values, torch.tensor([0])]
            )

    with pytest.raises(InputError, match="was trained on 1 of the"):
        judge_of(biased(kind=Leaky), iterations=HASTY).prepare(Still(), "val")


class Shifter(Still):
    """Adds .2 to whatever is to have an attribute, and takes as much from what is not."""

    def translations(self):
        return [Translation(("image",), (name,)) for name in ("colour", "texture")]

    def translate(self, x, translation):
        k = ["colour", "texture"].index(translation.target)
        target = 1 - x["attributes"][:, k]
        return x["image"] + (0.4 * target - 0.2).view(-1, 1, 1, 1)


def test_flips_of_attributes_and_the_way_back():
    data = Attributes(
        TinyWorld(), ["colour", "texture"], ["texture"], images=8, n_val=N, n_judging=240
    )
    values = judge_of(data, iterations=HASTY).measure(Shifter().eval(), "val")
    assert values["image_to_colour/cycle_l1"] == pytest.approx(0, abs=1e-6)
    assert values["image_to_colour/change_outside"] == pytest.approx(0.2)
    # Staying what one is adds or takes the same here, which is all that copying costs.
    assert values["image_to_colour/change_net"] == pytest.approx(0, abs=1e-6)
    assert values["identity/image_to_colour/misclassified_free"] == 0
    assert values["identity/image_to_colour/wanted_free"] == 0
    assert values["image_to_colour/diversity_true"] > 0
    # What is changed is not kept.
    assert not any("misclassified" in name for name in values if "to_texture" in name)
    assert values["identity/image_to_texture/wanted_free"] == 0


def test_in_training_with_another_run_beside(tmp_path, monkeypatch):
    others = {"runs/p": Printer()}
    monkeypatch.setattr(measures, "load_method", lambda folder: others[folder])
    brief = {"metrics": [], "batch_size": 16, "judge_iterations": BRIEF}
    judge = Evaluate(1, beside={"printer": "runs/p"}, **brief)
    fit(tmp_path, judge, method=Recolourer, data=biased())
    values = judge.latest
    assert values["mean/joint_free"] == 1
    assert values["beside/printer/mean/joint_free"] == 0.5
    assert values[f"beside/printer/{NAMES[0]}/misclassified_free"] == 1
    assert not any(name.startswith("beside/printer/identity") for name in values)
    card, first = read_card(tmp_path / "cards" / "val-00000001.json")
    assert not any(name.startswith("beside") for name in first)
    assert "Styles: 8 of each input" in card.note
    assert "f1 of texture" in card.note


def test_styles_are_measured_where_they_were_asked_for_or_make_sense(tmp_path):
    for styles, measured in ((None, True), (0, False)):
        measured_by = {"metrics": ["fid"], "extractor": "random", "judge_iterations": BRIEF}
        judge = Evaluate(2, styles=styles, **measured_by)
        fit(tmp_path / str(styles), judge, method=Still, data=biased())
        assert (f"{NAMES[0]}/joint" in judge.latest) is measured
        assert f"{NAMES[0]}/fid" in judge.latest


@pytest.mark.parametrize(("method", "reached"), [(Recolourer, 1.0), (Still, 0.0)])
def test_reverse_classification_by_the_test(tmp_path, method, reached):
    fit(tmp_path, Checkpoint(best=None), method=method, data=biased())
    judge = Evaluate(metrics=[], batch_size=16, reverse=20, judge_iterations=50)
    trainer = trainer_of(tmp_path, judge, Checkpoint(best=None))
    trainer.test(method(), biased(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
    assert judge.latest["reverse/ceiling"] == 1
    assert judge.latest["reverse/accuracy"] == pytest.approx(reached, abs=0.3)


def test_more_reverse_translations_than_training_images(tmp_path):
    fit(tmp_path, Checkpoint(best=None), method=Still, data=biased())
    hasty = Evaluate(metrics=[], reverse=50, judge_iterations=HASTY)
    trainer = trainer_of(tmp_path, hasty, Checkpoint(best=None))
    with pytest.raises(InputError, match="there are 40: give less"):
        trainer.test(Still(), biased(), ckpt_path=find_checkpoint(tmp_path), weights_only=True)
