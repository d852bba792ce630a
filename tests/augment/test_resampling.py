"""The resampling against loops, and its derivatives of both orders against differences."""

import math

import pytest
import torch

from lit_synth.augment.resampling import SYM6, warped

MIDDLE = sum(i * weight for i, weight in enumerate(SYM6)) / sum(SYM6)  # where a pixel's taps are
LATE = MIDDLE - 5 - 1  # samples from the end of as many to the one that shows the middle


def doubled(row):
    """Twice the samples of a row that is mirrored at its edges: zeros between, then the filter."""
    n = len(row)
    mirrored = [*row[::-1], *row, *row[::-1]]
    return [
        sum(
            SYM6[sample - 2 * (k - n) + 5] * mirrored[k]
            for k in range(3 * n)
            if 0 <= sample - 2 * (k - n) + 5 < 12
        )
        for sample in range(2 * n)
    ]


def halved(samples, n):
    """Every second sample under the mirrored filter; the first is 5 before the row."""
    return [sum(SYM6[i] * samples[2 * k + i] for i in range(12)) for k in range(n)]


def both_ways(of_row, rows):
    """Apply a map of rows to all rows, then to all columns."""
    across = [of_row(row) for row in rows]
    down = [of_row([row[c] for row in across]) for c in range(len(across[0]))]
    return [[column[r] for column in down] for r in range(len(down[0]))]


def reflected(position, n):
    """A position in samples, mirrored at the edges until it lies within, at most at the last."""
    position = (position + 0.5) % (2 * n)
    return min(max(min(position, 2 * n - position) - 0.5, 0), n - 1)


def read(samples, row, column):
    """Bilinear."""
    row, column = reflected(row, len(samples)), reflected(column, len(samples[0]))
    total = 0.0
    for r in (math.floor(row), math.floor(row) + 1):
        for c in (math.floor(column), math.floor(column) + 1):
            weight = (1 - abs(row - r)) * (1 - abs(column - c))
            if weight > 0:
                total += weight * samples[r][c]
    return total


def plainly(image, inverse):
    height, width = len(image), len(image[0])
    large = both_ways(doubled, image)
    seen = []
    for j in range(2 * height + 10):
        seen.append([])
        for i in range(2 * width + 10):
            x, y = (i - MIDDLE - width + 1) / 2, (j - MIDDLE - height + 1) / 2
            u, v = (m[0] * x + m[1] * y + m[2] for m in inverse[:2])
            seen[-1].append(read(large, 2 * v + height + LATE, 2 * u + width + LATE))
    across = [halved(row, width) for row in seen]
    down = [halved([row[c] for row in across], height) for c in range(width)]
    return [[column[r] for column in down] for r in range(height)]


def test_equals_loops_over_pixels_and_taps():
    torch.manual_seed(0)
    x = torch.randn(2, 1, 6, 8, dtype=torch.float64)
    inverse = torch.eye(3, dtype=torch.float64).repeat(2, 1, 1)
    inverse[:, :2] += 0.4 * torch.randn(2, 2, 3)
    inverse[1, 0, 2] = 7.3  # most of what it shows lies outside
    found = warped(x, inverse)
    for image, matrix, ours in zip(x[:, 0], inverse, found[:, 0], strict=True):
        expected = torch.tensor(plainly(image.tolist(), matrix.tolist()), dtype=torch.float64)
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-10)


def wave(x, y):
    return torch.sin(0.35 * x + 0.2) * torch.cos(0.25 * y) + 0.02 * x


@pytest.mark.parametrize(
    "inverse",
    [
        [[1, 0, 0], [0, 1, 0]],
        [[-1, 0, 0], [0, 1, 0]],
        [[0, 1, 0], [-1, 0, 0]],
        [[1, 0, 2.5], [0, 1, -1.25]],
        [[0.8, -0.3, 1], [0.3, 0.8, 0]],
    ],
)
def test_a_smooth_image_shows_what_it_has_at_the_mapped_places(inverse):
    y, x = torch.meshgrid(*[torch.arange(32.0).double() - 15.5] * 2, indexing="ij")
    matrix = torch.tensor([[*inverse, [0, 0, 1]]], dtype=torch.float64)
    u, v = (m[0] * x + m[1] * y + m[2] for m in matrix[0, :2])
    within = (u.abs() < 11) & (v.abs() < 11) & (x.abs() < 11) & (y.abs() < 11)
    found = warped(wave(x, y)[None, None], matrix)[0, 0]
    assert within.sum() > 200
    torch.testing.assert_close(found[within], wave(u, v)[within], rtol=0, atol=0.015)


def test_the_identity_gives_the_image_back_but_for_its_margin():
    x = torch.randn(1, 2, 20, 20, dtype=torch.float64)
    found = warped(x, torch.eye(3, dtype=torch.float64)[None])
    torch.testing.assert_close(found[..., 6:-6, 6:-6], x[..., 6:-6, 6:-6])
    torch.testing.assert_close(found, x, rtol=0, atol=0.1)


def test_first_and_second_derivatives_equal_differences():
    torch.manual_seed(0)
    x = torch.randn(1, 1, 5, 4, dtype=torch.float64, requires_grad=True)
    inverse = torch.tensor([[[0.9, 0.2, 0.7], [-0.3, 1.1, 2.2], [0, 0, 1]]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: warped(x, inverse), x)
    assert torch.autograd.gradgradcheck(lambda x: warped(x, inverse).pow(3), x)
