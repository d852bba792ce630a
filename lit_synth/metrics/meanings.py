"""What every metric says, in one sentence, and which way is better: the one place for both."""

import re
from typing import NamedTuple

UP, DOWN, NONE = "↑", "↓", ""


class Meaning(NamedTuple):
    """What a metric says.

    Attributes:
        better: `↑` higher, `↓` lower, `→ 1` the nearer to 1; empty where no way is better.
        sentence: What the number is, for a reader who sees it for the first time.
    """

    better: str
    sentence: str


OF_GENERATION = {
    "fid": Meaning(DOWN, "Distance between features of real and made images; 0 is equal."),
    "fid_low": Meaning(NONE, "Lower end of FID's 95 % bootstrap interval."),
    "fid_high": Meaning(NONE, "Upper end of FID's 95 % bootstrap interval."),
    "fid_floor": Meaning(NONE, "FID of the training images themselves: what there is to be had."),
    "cmmd": Meaning(DOWN, "Distance between CLIP embeddings by a Gaussian kernel, times 1000."),
    "mind": Meaning(DOWN, "Distance between features along many lines (MIND); 0 is equal."),
    "kid": Meaning(DOWN, "Distance between features by a kernel, unbiased for few images."),
    "kid_std": Meaning(NONE, "Standard deviation of KID over its subsets."),
    "kmmd": Meaning(DOWN, "Distance between features by a Gaussian kernel, as in the thesis."),
    "kmmd_bandwidth": Meaning(NONE, "Width of that kernel: KMMDs of other widths do not compare."),
    "mv": Meaning("→ 1", "How much made images vary, over how much real ones do."),
    "mv_distance": Meaning(DOWN, "How far MV is from 1: too uniform, or too noisy."),
    "precision": Meaning(
        NONE, "Share of made images that look like some real one; blur has more: see `f_score`."
    ),
    "recall": Meaning(
        NONE, "Share of real images that look like some made one; noise has more: see `f_score`."
    ),
    "f_score": Meaning(UP, "Harmonic mean of precision and recall."),
    "density": Meaning("→ 1", "How densely real images surround a made one; blur has above 1."),
    "coverage": Meaning(UP, "Share of real images that have a made one near them."),
    "accuracy": Meaning(UP, "Share of images that a classifier reads as the class meant."),
    "classifier_error": Meaning(DOWN, "Share of images that a classifier reads as another class."),
    "memorised": Meaning(
        "→ floor", "Of images on the manifold, share nearer to a training than to an unseen image."
    ),
    "memorised_floor": Meaning(NONE, "`memorised` of fresh real images."),
    "memorised_excess": Meaning(
        DOWN, "Share of `memorised` above its floor: 0 nothing, 1 copies, or nothing looks real."
    ),
    "on_manifold": Meaning(UP, "Share of made images near some real one, trained on or not."),
    "memorisation_ratio": Meaning(
        NONE, "Distance to training images over that to unseen ones: 0 copies; bad images have 1."
    ),
    "memorisation_share": Meaning(
        NONE, "Share nearer to a training than to an unseen image; bad images have any value."
    ),
    "ms_per_image": Meaning(DOWN, "Milliseconds to make an image."),
}
OF_TRANSLATION = {
    "miou": Meaning(UP, "Overlap of labels made and true, over their union; mean of the classes."),
    "delta1": Meaning(UP, "Share of pixels whose depth is wrong by a factor below 1.25."),
    "delta2": Meaning(UP, "Share of pixels whose depth is wrong by a factor below 1.25²."),
    "delta3": Meaning(UP, "Share of pixels whose depth is wrong by a factor below 1.25³."),
    "rmse": Meaning(DOWN, "Root mean squared error of depth in metres."),
    "rmse_log": Meaning(DOWN, "Root mean squared error of the natural logarithm of depth."),
    "abs_rel": Meaning(DOWN, "Mean of the error of depth over the true depth."),
    "l1": Meaning(DOWN, "Mean absolute difference of pixels in [-1, 1] from the true image."),
    "mse": Meaning(DOWN, "Mean squared difference of pixels in [-1, 1] from the true image."),
    "psnr": Meaning(UP, "Signal to noise in decibels: how near the pixels are to the true image."),
    "class_accuracy": Meaning(UP, "Share of images that a classifier reads as the class wanted."),
    "openeds": Meaning(DOWN, "Score of the OpenEDS challenge: 2.907 to a grey level of RMSE."),
    "mask_miou": Meaning(UP, "Overlap of the mask given and the one that a segmenter reads off."),
    "sharpness": Meaning("→ 1", "Energy of the gradients of made images, over that of true ones."),
}
OF_CODES = {
    "spearman": Meaning(
        NONE, "Rank correlation of distances of codes with true ones; of content it should be 0."
    ),
    "off": Meaning(DOWN, "Share of styles that are drawn far from those of any real image."),
    "cover": Meaning(UP, "Share of real images that have a drawn style very near theirs: .5."),
}
OF_STYLES = {
    "misclassified": Meaning(
        DOWN,
        "Share of translations that lose what they should keep: 0 if nothing is done; see `joint`.",
    ),
    "confidence_drop": Meaning(DOWN, "How much surer a judge was of what to keep before."),
    "wanted": Meaning(UP, "Share of translations that have the value asked for."),
    "joint": Meaning(
        UP, "Share of translations with the value asked for that keep all that should stay."
    ),
    "diversity": Meaning(
        "→ true", "Perceptual distance of two translations of one input; compare with row `true`."
    ),
    "diversity_kept": Meaning(
        "→ 1", "Difference between styles that keep the content, as a share of the true one."
    ),
    "diversity_inside": Meaning("→ true", "Difference between styles where they should differ."),
    "diversity_outside": Meaning(DOWN, "Difference between styles where they should agree."),
    "shade_std": Meaning("→ true", "How much the brightness varies over styles, where it should."),
    "change_inside": Meaning(NONE, "Change of pixels where the input should change."),
    "change_outside": Meaning(DOWN, "Change of pixels where the input should stay."),
    "floor_outside": Meaning(
        DOWN, "Change there of an input translated to what it is: the error of copying."
    ),
    "change_net": Meaning(DOWN, "`change_outside` less `floor_outside`: changed without need."),
    "attention_inside": Meaning(UP, "How much the method lets change, where it should."),
    "attention_outside": Meaning(DOWN, "How much the method lets change, where it should not."),
    "cycle_l1": Meaning(DOWN, "Difference of an input from its translation translated back."),
    "identity_distance": Meaning(DOWN, "Distance between the faces before and after."),
    "identity_distance_others": Meaning(
        NONE, "Distance between the faces of two people: what another face is."
    ),
}
MEANINGS = {**OF_GENERATION, **OF_TRANSLATION, **OF_STYLES}
JUDGES = {
    "f1": "by judge f1, a network",
    "f2": "by judge f2, another network",
    "free": "read off the pixels by a rule",
    "h": "by the classifier that the method was trained against: no evidence",
}
ALIGNMENT = {
    "": Meaning(UP, "Cosine of the latents of one scene in two modalities, means taken away."),
    "_mismatched": Meaning("→ 0", "Cosine of two different scenes, means taken away: the control."),
    "_raw": Meaning(NONE, "Cosine with the means, the thesis's alignment factor."),
    "_raw_mismatched": Meaning(
        NONE, "Raw cosine of two different scenes: what `raw` has above this is alignment."
    ),
    "_retrieval": Meaning(UP, "Share of scenes whose nearest latent is their own, by chance 1/N."),
}
REVERSE = {
    "accuracy": Meaning(UP, "Accuracy on real images of a classifier trained on made ones."),
    "ceiling": Meaning(
        NONE, "Accuracy of a classifier trained on as many real images: what there is to be had."
    ),
}
LAYOUT = {
    "miou": Meaning(UP, "Overlap of an image's parts with those of the layout asked for."),
    "miou_style": Meaning(NONE, "Overlap of an image's parts with those of its style's image."),
    "miou_copy": Meaning(NONE, "Overlap that the style's image itself has with the layout's."),
    "colour": Meaning(
        UP, "Share of parts whose colour is nearer to the style's than the layout's."
    ),
}
_JUDGED = re.compile(r"(misclassified|confidence_drop|wanted|joint)_(\w+)")
_PIXELS = Meaning(UP, "Share of pixels that get the true class.")
_NAMED = (
    (re.compile(r"class_\d+"), Meaning(NONE, "Share of made images read as this class.")),
    (
        re.compile(r"disagreement_.+"),
        Meaning(DOWN, "Share of translations in which the judges read different values."),
    ),
    (
        re.compile(r"grey_.+"),
        Meaning(UP, "Correlation of this class's mean grey, made and true, over images."),
    ),
    (re.compile(r"iou_.+"), Meaning(UP, "Overlap over union of this class.")),
    *((re.compile(rf".+_{name}"), meaning) for name, meaning in OF_CODES.items()),
)


def meaning(name: str, pixels: bool = False) -> Meaning | None:
    """Return what a metric says, called as on a card; None: nothing is known of it.

    Args:
        name: Such as `fid`, `depth_to_segmentation/miou`, `alignment/rgb-depth_raw`.
        pixels: Is `accuracy` that of a translation to labels?
    """
    group, _, metric = name.rpartition("/")
    if group == "reverse":
        return REVERSE.get(metric)
    if group == "alignment":
        return ALIGNMENT[alignment_suffix(metric)]
    if group == "layout":
        return LAYOUT.get(metric)
    metric = metric.removesuffix("_true")
    if pixels and metric == "accuracy":
        return _PIXELS
    if metric in MEANINGS:
        return MEANINGS[metric]
    if judged := _JUDGED.fullmatch(metric):
        better = MEANINGS[judged[1]].better
        return Meaning(better, f"`{judged[1]}` {JUDGES.get(judged[2], f'of {judged[2]}')}.")
    return next((found for pattern, found in _NAMED if pattern.fullmatch(metric)), None)


def alignment_suffix(metric: str) -> str:
    """Return what an alignment's name has after its pair of modalities, such as `_raw`."""
    return next(each for each in sorted(ALIGNMENT, key=len)[::-1] if metric.endswith(each))


def arrow(name: str, pixels: bool = False) -> str:
    """Return a metric's name with its better way, such as `fid ↓`."""
    found = meaning(name, pixels)
    return f"{name} {found.better}" if found and found.better else name
