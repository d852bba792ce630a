"""InceptionV3 with the original FID weights, as torch-fidelity ports it (arXiv:1706.08500)."""

import contextlib
import hashlib
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from lit_synth.errors import InputError
from lit_synth.features.base import Extractor, Features
from lit_synth.features.random import as_rgb
from lit_synth.tensors.pixels import as_uint8
from lit_synth.tensors.tensor_files import load_tensors

URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)


class InceptionFeatures(Extractor):
    """Pool features (N, 2048) of images that are first rounded to 8 bits, as published FIDs are.

    Args:
        weights_path: State dict of torch-fidelity's InceptionV3; None uses the copy in PyTorch's
            hub cache, downloaded on first use (95 MB).

    Raises:
        InputError: If the weights can be neither found nor downloaded, or do not fit.
    """

    name = "inception-v3-2048"
    at_once_on_cpu = 16
    resize = "grey repeated to RGB; x * 127.5 + 128 to 8 bits; TensorFlow 1 bilinear to 299x299"

    def __init__(self, weights_path: str | Path | None = None) -> None:
        super().__init__()
        path = Path(weights_path) if weights_path else _downloaded()
        with torch.random.fork_rng(devices=[]):  # building networks draws initial weights
            self.network = _load(path)
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        self.freeze()

    def forward(self, images: Tensor) -> Features:
        (features,) = self.network(as_uint8(as_rgb(images)))
        return Features(features)


def cached_weights() -> Path:
    """Where PyTorch's hub keeps, or would keep, the downloaded weights."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(URL).name


def _downloaded() -> Path:
    path = cached_weights()
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"Downloading {URL}", file=sys.stderr)
        try:
            torch.hub.download_url_to_file(URL, str(path))
        except OSError as error:
            raise InputError(
                f"The Inception weights could not be downloaded ({error}): download {URL} on a "
                f"machine with internet and save it as {path}, or use another extractor."
            ) from error
    return path


def _load(path: Path) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    try:
        state = load_tensors(path)
        # torch-fidelity would unpickle the file with the right to run code in it, so it is handed
        # one that we have written.
        with tempfile.NamedTemporaryFile(suffix=".pth") as clean:
            torch.save(state, clean.name)
            with contextlib.redirect_stdout(sys.stderr):
                return FeatureExtractorInceptionV3(
                    "inception-v3-compat", ["2048"], feature_extractor_weights_path=clean.name
                )
    except Exception as error:  # a file that is no state dict can fail in any way
        reason = (str(error) or repr(error)).splitlines()[0]
        raise InputError(
            f"'{path}' does not hold the weights of torch-fidelity's InceptionV3 ({reason}): "
            f"expected the file from {URL}."
        ) from error
