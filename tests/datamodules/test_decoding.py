"""Sixteen bits of grey become eight: divided by 257, rounded, whatever the file's byte order."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.files.decoding import kind_of, open_image, to_pixels


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bit_grey(form):
    values = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    values[0, :4] = 128, 129, 385, 65535 - 128  # around the halves
    data = io.BytesIO()
    Image.fromarray(values).save(data, form)
    image = open_image(data.getvalue())
    assert kind_of(image) == "16-bit grey"
    expected = torch.from_numpy(np.round(values.astype(np.float64) / 257)).to(torch.uint8)
    assert torch.equal(to_pixels(image, 16, 1, "crop")[0], expected)
    assert torch.equal(to_pixels(image, 16, 3, "crop"), expected.expand(3, -1, -1))


def test_big_endian_16_bit_grey():
    values = np.array([[0, 256], [257 * 7, 65535]], dtype=">u2")
    data = io.BytesIO()
    Image.frombytes("I;16B", (2, 2), values.tobytes()).save(data, "TIFF")
    assert to_pixels(open_image(data.getvalue()), 2, 1, "crop").tolist() == [[[0, 1], [7, 255]]]
