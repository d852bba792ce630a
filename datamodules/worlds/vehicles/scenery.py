"""Where vehicles stand: sky, a far silhouette, a verge and a road, in four lights."""

import torch
from torch import Tensor

from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import column, gradient, paint

BACKGROUNDS = ("city", "hills", "mountains", "coast")
LIGHTS = ("noon", "overcast", "sunset", "night")
LIGHT_SHARES = (0.4, 0.25, 0.2, 0.15)  # how often each

# Tables by background: colour and shape of the silhouette on the horizon, colour of the verge.
_FAR = torch.tensor(
    [[0.50, 0.53, 0.60], [0.36, 0.55, 0.30], [0.52, 0.54, 0.62], [0.16, 0.42, 0.60]]
)
_NEAR = torch.tensor(
    [[0.62, 0.60, 0.57], [0.45, 0.62, 0.28], [0.50, 0.55, 0.36], [0.86, 0.78, 0.58]]
)
_CELLS = torch.tensor([9.0, 3.0, 5.0, 2.0])  # corners of the silhouette across the image
_LOW = torch.tensor([0.08, 0.06, 0.05, 0.10])  # its height above the verge, in images
_HIGH = torch.tensor([0.38, 0.20, 0.34, 0.11])

# Tables by light: sky above and at the horizon, the tint of all that is lit, the sun or moon.
_SKY_TOP = torch.tensor(
    [[0.26, 0.52, 0.88], [0.66, 0.71, 0.77], [0.32, 0.30, 0.55], [0.03, 0.04, 0.12]]
)
_SKY_LOW = torch.tensor(
    [[0.74, 0.87, 0.97], [0.86, 0.88, 0.90], [0.98, 0.62, 0.36], [0.12, 0.14, 0.28]]
)
TINT = torch.tensor([[1.0, 1.0, 1.0], [0.88, 0.90, 0.92], [0.98, 0.80, 0.70], [0.42, 0.44, 0.58]])
_SUN = torch.tensor([[1.0, 0.97, 0.80], [0.88, 0.89, 0.90], [1.0, 0.86, 0.50], [0.92, 0.93, 0.86]])
_CLOUDS = torch.tensor([1.0, 0.8, 0.45, 0.1])  # how opaque
_GLOW = torch.tensor([0.0, 0.0, 0.45, 0.9])  # lit windows of houses

_ASPHALT = torch.tensor([0.34, 0.34, 0.37])
_MARKING = torch.tensor([0.90, 0.89, 0.84])
_LAMPLIGHT = torch.tensor([1.0, 0.84, 0.48])


def draw_scenery(
    background: Tensor, light: Tensor, ground: Tensor, dice: Dice, size: int
) -> Tensor:
    """Return canvases (N, 3, size, size) in [0, 1] with everything but the vehicle.

    Args:
        background: Which of `BACKGROUNDS` (N,).
        light: Which of `LIGHTS` (N,).
        ground: Where wheels touch the road (N,), from the top in sides of the canvas.
        dice: Roll what is no label.
        size: Side in pixels.
    """
    centres = (torch.arange(size) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]
    tint = TINT[light]
    road = column(ground - dice.between(0.08, 0.12))
    verge = road - column(dice.between(0.03, 0.07))

    canvas = gradient(_SKY_TOP[light], _SKY_LOW[light], (y / verge).clamp(0, 1))
    canvas = canvas.expand(-1, -1, -1, size).contiguous()
    _draw_sun(canvas, x, y, light, dice)
    for _ in range(2):
        _draw_cloud(canvas, x, y, light, dice)

    heights = _silhouette(background, dice, size)
    far = ((y - verge + heights[:, None, :]) * size + 0.5).clamp_(0, 1)
    colour = _FAR[background] + dice.between(-0.06, 0.06)[:, None]
    paint(canvas, far, torch.lerp(colour * tint, _SKY_LOW[light], 0.25))
    _draw_house_windows(canvas, far, background, light, dice, x, y)

    near = _NEAR[background] * dice.between(0.9, 1.1)[:, None] * tint
    paint(canvas, ((y - verge) * size + 0.5).clamp(0, 1), near)
    shade = ((y - road) / (1 - road)).clamp(0, 1)
    asphalt = _ASPHALT * dice.between(0.85, 1.15)[:, None] * tint
    paint(
        canvas,
        ((y - road) * size + 0.5).clamp(0, 1),
        gradient(asphalt * 1.12, asphalt * 0.8, shade),
    )
    _draw_markings(canvas, x, y, column(ground), tint, dice)
    return canvas


def _silhouette(background: Tensor, dice: Dice, size: int) -> Tensor:
    """Return heights (N, W): random corners, joined by steps, curves or straight lines."""
    corners = dice.several(12, 0.0, 1.0)
    cells, phase = _CELLS[background][:, None], dice.between(0, 1)[:, None]
    place = (torch.arange(size) + 0.5) / size * cells + phase
    cell = place.floor()
    share = place - cell
    step = ((share - 0.5) * (size / cells) + 0.5).clamp(0, 1)
    curve = share.square() * (3 - 2 * share)
    kind = background[:, None]
    share = torch.where(kind == 0, step, torch.where(kind == 1, curve, share))
    left, right = corners.gather(1, cell.long()), corners.gather(1, cell.long() + 1)
    low, high = _LOW[background][:, None], _HIGH[background][:, None]
    return low + (high - low) * torch.lerp(left, right, share)


def _draw_sun(canvas: Tensor, x: Tensor, y: Tensor, light: Tensor, dice: Dice) -> None:
    across, down = column(dice.between(0.08, 0.92)), column(dice.between(0.06, 0.26))
    radius = column(dice.between(0.035, 0.06))
    distance = ((x - across).square() + (y - down).square()).sqrt_()
    disc = ((radius - distance) * canvas.shape[-1] + 0.5).clamp_(0, 1)
    visible = column((light != 1).float())  # clouds hide it
    paint(canvas, disc * visible, _SUN[light])


def _draw_cloud(canvas: Tensor, x: Tensor, y: Tensor, light: Tensor, dice: Dice) -> None:
    """Paint three overlapping puffs on one flat base."""
    across, base = column(dice.between(0, 1)), column(dice.between(0.12, 0.36))
    width = column(dice.between(0.05, 0.09))
    places = torch.stack([-1.1 * width, torch.zeros_like(width), 1.2 * width])
    radii = torch.stack([0.7 * width, width, 0.6 * width])
    down = (y - base).square()
    distance = (((x - across - places).square() + down).sqrt_() - radii).amin(0)
    distance = torch.maximum(distance, y - base - 0.2 * width)
    opacity = column(dice.between(0.3, 0.8) * _CLOUDS[light])
    puff = (0.5 - distance * canvas.shape[-1]).clamp_(0, 1)
    paint(canvas, puff * opacity, torch.lerp(_SKY_LOW[light], torch.ones(3), 0.6))


def _draw_house_windows(
    canvas: Tensor, far: Tensor, background: Tensor, light: Tensor, dice: Dice, x: Tensor, y: Tensor
) -> None:
    pitch, phase = dice.between(16, 22), dice.between(0, 1)
    across = _dashes(x * column(pitch) + column(phase), 0.5, canvas.shape[-1] / column(pitch))
    down = _dashes(y * column(pitch) * 0.8, 0.45, canvas.shape[-1] / column(pitch) / 0.8)
    dark = torch.lerp(_FAR[background] * TINT[light] * 0.75, _LAMPLIGHT, _GLOW[light][:, None])
    paint(canvas, far * (across * down) * column((background == 0) * 0.8), dark)


def _draw_markings(
    canvas: Tensor, x: Tensor, y: Tensor, ground: Tensor, tint: Tensor, dice: Dice
) -> None:
    size = canvas.shape[-1]
    pitch, phase = column(dice.between(2.2, 3.2)), column(dice.between(0, 1))
    dashes = _dashes(x * pitch + phase, 0.55, size / pitch)
    line = ground + 0.085
    thick = ((0.009 - (y - line).abs()) * size + 0.5).clamp(0, 1)
    paint(canvas, dashes * thick, _MARKING * tint)


def _dashes(place: Tensor, filled: float, pixels: Tensor) -> Tensor:
    """Return the coverage of dashes with period 1; `pixels` per period."""
    off_centre = (place - place.floor() - 0.5).abs()
    return ((filled / 2 - off_centre) * pixels + 0.5).clamp(0, 1)
