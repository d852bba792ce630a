"""The options of `predict`."""

from pytorch_lightning.cli import LightningArgumentParser

N_IMAGES = 64  # that predict generates, unless told
OF_TRANSLATIONS = ("source", "target", "via", "input", "styles", "reference", "interpolate")


def add_predict_options(parser: LightningArgumentParser) -> None:
    """Add what `predict` can be asked to the options of every training verb."""
    parser.add_argument(
        "--n_images",
        type=int | None,
        default=None,
        help=f"predict: images to write (default: {N_IMAGES}; all scenes of the test split).",
    )
    for name, words in (
        (
            "source",
            "modality to translate from; several, joined by commas, are fused; between images "
            "only where --target has several sources",
        ),
        ("target", "modality to translate to"),
        ("via", "modalities to translate over, joined by commas"),
        (
            "input",
            "folder of the source, or of a folder for each (default: the test split); files "
            "have no labels, so an attribute that is the target becomes yes",
        ),
    ):
        parser.add_argument(f"--{name}", type=str | None, default=None, help=f"predict: {words}.")
    parser.add_argument(
        "--styles",
        type=int | None,
        default=None,
        help="predict: results of each input, in random styles (default: 1).",
    )
    parser.add_argument(
        "--reference",
        type=str,
        nargs="+",
        default=None,
        help="predict: images of the target, or folders of them, whose styles to translate in.",
    )
    parser.add_argument(
        "--interpolate",
        type=int | None,
        default=None,
        help="predict: steps from one random style to another, or between two references.",
    )
    parser.add_argument(
        "--out",
        type=str | None,
        default=None,
        help="predict: folder (default: <run>/predictions).",
    )
