"""Bias of translations, as judges, the data's own rules and the method's classifier see it."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lit_synth.contracts.data import Batch, HasJudges, HasWanted
from lit_synth.contracts.translator import HasJudgement, Translation
from lit_synth.errors import InputError
from lit_synth.features.base import extract
from lit_synth.features.classifier import Recipe, ReleaseClassifier, trained_classifier
from lit_synth.metrics.bias import confidence_drop, disagreement, joint, misclassified, wanted

# They share neither images nor seeds nor architecture, with each other and with any extractor.
JUDGES = {
    "f1": Recipe(seed=101, network={"width": 16}),
    "f2": Recipe(seed=102, network={"width": 12, "kernel_size": 5, "slope": 0.2}),
}
FREE, OWN = "free", "h"
KEPT = "kept"  # whether all judges find that a translation keeps the content
AVERAGED = ("misclassified", "confidence_drop", "wanted", "joint")  # over the learned judges


class Aim(NamedTuple):
    """What translations of N inputs are to change, and what to keep.

    Attributes:
        wanted: Attribute that is to change.
        value: That they should have, int64 (N,).
        kept: Attribute -> value of the input, int64 (N,).
    """

    wanted: str
    value: Tensor
    kept: Batch

    @property
    def attributes(self) -> list[str]:
        """All that is judged."""
        return [self.wanted, *self.kept]


def aim_of(data: HasJudges, translation: Translation, known: Batch) -> Aim:
    """Return what a translation is to do to images of which the attributes are known."""
    changed = data.wanted if isinstance(data, HasWanted) else translation.target
    before = _value(data, known, changed)
    if isinstance(data, HasWanted):
        value = torch.full_like(before, data.wanted_value(translation.target))
    else:
        value = 1 - before
    kept = [name for name in data.unwanted if _attribute(name) != _attribute(changed)]
    return Aim(changed, value, {name: _value(data, known, name) for name in kept})


class BiasJudges:
    """Judges of the attributes of a data module; the learned ones are trained on first use.

    Args:
        data: Data module that says what is judged, and has images to learn it from.
        folder: Cache in which trained ones are kept.
        iterations: Number of iterations that train each.
    """

    def __init__(self, data: HasJudges, folder: Path, iterations: int = Recipe.iterations) -> None:
        self.data, self.folder, self.iterations = data, folder, iterations
        self._learned: dict[tuple[str, str], ReleaseClassifier] = {}

    def refuse_seen(self, images: Tensor, aim: Aim) -> None:
        """Raise InputError if a judge was trained on any of the images (N, C, H, W)."""
        for judge in JUDGES:
            for attribute in aim.attributes:
                self._judge(judge, attribute, images.device).refuse_seen(images)

    def measure(
        self, made: Tensor, given: Tensor, known: Batch, aim: Aim, allowed: Batch | None = None
    ) -> Batch:
        """Judge translations.

        Args:
            made: Translations in S styles, (N, S, C, H, W) in [-1, 1].
            given: The images that were translated, (N, C, H, W).
            known: Fields that the data knows of these.
            aim: What translations were to change, and what to keep.
            allowed: What `calibrate` of the data says of the method that made them.

        Returns:
            Name -> value of each input, float64 (N,); and `KEPT`, bool (N, S): whether all judges
            read all of `aim.kept` as it was.
        """
        of_rule = self._read_by_rule(made, known, allowed or {})
        values = _shares(of_rule, aim, FREE)
        per_attribute: dict[str, list[Tensor]] = {}
        readings = {name: [of_rule[name]] if name in of_rule else [] for name in aim.attributes}
        stays = torch.ones(made.shape[:2], dtype=torch.bool)
        for name in aim.kept.keys() & of_rule.keys():
            stays &= of_rule[name] == aim.kept[name][:, None]
        for judge in JUDGES:
            logits = {name: self._logits(judge, name, made) for name in aim.attributes}
            read = {name: found.argmax(2) for name, found in logits.items()}
            values |= _shares(read, aim, judge)
            drops = [
                confidence_drop(
                    logits[name], self._logits(judge, name, given[:, None])[:, 0], truth
                )
                for name, truth in aim.kept.items()
            ]
            if drops:
                values[f"confidence_drop_{judge}"] = torch.stack(drops).mean(0)
            for name in aim.attributes:
                readings[name].append(read[name])
            for name, truth in aim.kept.items():
                per_attribute.setdefault(name, []).append(misclassified(read[name], truth))
                stays &= read[name] == truth[:, None]
        for name in AVERAGED:
            found = [values[key] for key in (f"{name}_{j}" for j in JUDGES) if key in values]
            if found:
                values[name] = torch.stack(found).mean(0)
        if len(per_attribute) > 1:
            for name, shares in per_attribute.items():
                values[f"misclassified_{name}"] = torch.stack(shares).mean(0)
        values |= {f"disagreement_{name}": disagreement(found) for name, found in readings.items()}
        return values | ({KEPT: stays} if aim.kept else {})

    @property
    def notes(self) -> list[str]:
        """A sentence for the card on the learned judges."""
        hashes = ", ".join(
            f"{judge} of {attribute} {classifier.sha256[:12]}"
            for (judge, attribute), classifier in self._learned.items()
        )
        return [f"Judges, trained on images of their own: {hashes}."] if hashes else []

    def _read_by_rule(self, made: Tensor, known: Batch, allowed: Batch) -> Batch:
        """Return what the data reads off images without a classifier: attribute -> (N, S)."""
        n_styles = made.shape[1]
        repeated = {name: value.repeat_interleave(n_styles, 0) for name, value in known.items()}
        read = self.data.verdicts(made.flatten(0, 1).cpu(), repeated | allowed)
        return {name: value.reshape(-1, n_styles) for name, value in read.items()}

    def _logits(self, judge: str, attribute: str, images: Tensor) -> Tensor:
        """Return (N, S, K) of images (N, S, C, H, W)."""
        found = extract(self._judge(judge, attribute, images.device), images.flatten(0, 1)).logits
        assert found is not None, "of a classifier"
        return found.reshape(*images.shape[:2], -1)

    def _judge(self, judge: str, attribute: str, device: torch.device) -> ReleaseClassifier:
        if (judge, attribute) not in self._learned:
            number = list(JUDGES).index(judge)
            images, values = self.data.judging_set(attribute, number)
            recipe = replace(JUDGES[judge], iterations=self.iterations)
            trained = trained_classifier(images, values, self.folder, recipe)
            self._learned[judge, attribute] = trained.to(device)
        return self._learned[judge, attribute]


def own_verdict(method: object, made: Tensor, aim: Aim) -> Batch:
    """Return what a method's own classifier, if any, says of translations (N, S, C, H, W)."""
    if not isinstance(method, HasJudgement) or method.judged_attribute not in aim.kept:
        return {}
    with torch.no_grad(), torch.autocast(made.device.type, enabled=False):
        read = method.judge(made.flatten(0, 1)).argmax(1).cpu().reshape(made.shape[:2])
    truth = aim.kept[method.judged_attribute]
    return {f"misclassified_{OWN}": misclassified(read, truth)}


def _shares(read: Mapping[str, Tensor], aim: Aim, judge: str) -> Batch:
    """Return the shares of translations with the right values, as far as they were read."""
    values: Batch = {}
    kept = {name: truth for name, truth in aim.kept.items() if name in read}
    if kept:
        wrong = [misclassified(read[name], truth) for name, truth in kept.items()]
        values[f"misclassified_{judge}"] = torch.stack(wrong).mean(0)
    if aim.wanted in read:
        values[f"wanted_{judge}"] = wanted(read[aim.wanted], aim.value)
        if kept and len(kept) == len(aim.kept):
            stays = [(read[name], truth) for name, truth in kept.items()]
            values[f"joint_{judge}"] = joint((read[aim.wanted], aim.value), stays)
    return values


def _value(data: HasJudges, known: Batch, name: str) -> Tensor:
    """Return the values (N,) of an attribute, or 1 where it has the value that `name` asks for."""
    attribute, _, value = name.partition("=")
    if attribute not in known or attribute not in data.attributes:
        raise InputError(
            f"bias is to be measured in '{name}', but nothing is known of it in held-out images: "
            f"there are {', '.join(data.attributes)}."
        )
    if not value:
        return known[attribute]
    return (known[attribute] == list(data.attributes[attribute]).index(value)).long()


def _attribute(name: str) -> str:
    return name.partition("=")[0]
