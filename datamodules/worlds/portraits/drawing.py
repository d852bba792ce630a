"""Stylised faces from the front, and which pixels a change of each attribute can change.

Lengths are in half heights of the head. The origin is between the eyes, v is upwards: 1 is the top
of the skull, -1 about the chin.
"""

from copy import copy
from dataclasses import dataclass, field, replace
from itertools import product

import torch
from torch import Tensor

from datamodules.items.splits import Batch
from datamodules.worlds.canvas.dice import Dice
from datamodules.worlds.canvas.drawing import Frame, column, paint

# What makes a person: the least and the most of each measure.
MEASURES = {
    "width": (0.62, 0.80),  # of half the face
    "chin": (0.88, 1.12),  # how far below the eyes
    "square": (2.0, 2.3),  # exponent of the outline
    "eye_distance": (0.26, 0.37),  # from the middle
    "eye_width": (0.11, 0.165),
    "eye_height": (0.055, 0.105),
    "eye_slant": (-0.25, 0.25),
    "iris": (0.0, 1.0),  # from brown over green to blue
    "brow_height": (0.18, 0.30),  # above the eyes
    "brow_slant": (-0.3, 0.3),
    "brow_tone": (0.0, 1.0),  # from black to brown
    "nose_length": (0.26, 0.44),
    "nose_width": (0.08, 0.18),
    "mouth_height": (0.55, 0.67),  # below the eyes
    "mouth_width": (0.18, 0.30),
    "lips": (0.065, 0.11),
    "ears": (0.8, 1.35),
    "hair_width": (0.10, 0.20),  # beside the face, where long
    "hair_length": (0.70, 1.25),  # below the eyes, where long
    "beard": (0.2, 0.5),  # how dark its shadow is
    "tone": (-1.0, 1.0),  # of the skin
}
HEAD = "head"  # marked as attributes are: where the head shows

# What a pixel can show, and its colour. Lenses belong to the glasses, ears and neck to the skin.
PARTS = {
    "background": (0, 0, 0),
    "skin": (230, 180, 150),
    "hair": (120, 70, 30),
    "brows": (60, 170, 75),
    "eyes": (70, 120, 220),
    "glasses": (150, 60, 200),
    "nose": (245, 130, 48),
    "mouth": (220, 30, 60),
    "hat": (250, 210, 40),
    "clothes": (120, 140, 150),
}

SKIN = {"pale": (0.97, 0.83, 0.74), "medium": (0.78, 0.57, 0.44), "dark": (0.44, 0.29, 0.22)}
# The darkest and the lightest shade of each.
HAIR = {
    "black": ((0.02, 0.02, 0.03), (0.12, 0.11, 0.12)),
    "brown": ((0.22, 0.11, 0.05), (0.36, 0.20, 0.10)),
    "blond": ((0.84, 0.67, 0.26), (0.99, 0.89, 0.52)),
    "red": ((0.56, 0.16, 0.03), (0.84, 0.34, 0.08)),
    "grey": ((0.54, 0.55, 0.58), (0.80, 0.81, 0.84)),
}
_SKINS = torch.tensor(list(SKIN.values()))
_SHADES = torch.tensor(list(HAIR.values()))
_IRIS = torch.tensor([[0.30, 0.17, 0.08], [0.26, 0.42, 0.22], [0.20, 0.44, 0.70]])
_BROWS = torch.tensor([[0.07, 0.05, 0.06], [0.34, 0.21, 0.13]])
_DARK = torch.tensor([0.10, 0.07, 0.08])
_BEARD = torch.tensor([0.16, 0.13, 0.14])
_WHITE = torch.tensor([0.97, 0.97, 0.96])
_MOUTH = torch.tensor([0.22, 0.13, 0.12])
_LIPS = torch.tensor([0.86, 0.66, 0.66])  # their share of the skin's colour
_LENS = torch.tensor([0.80, 0.90, 0.96])
_SQUARE = torch.full((1, 1, 1), 2.6)

# Where heads may be: half height and place of the eyes, in images; the turn to a side, in half
# heights.
_UNIT, _ACROSS, _DOWN, _TURN = (0.33, 0.355), (0.47, 0.53), (0.53, 0.56), (-0.07, 0.07)


@dataclass
class Cover:
    """The opacity of a layer, and what it would be if another value were chosen.

    Attributes:
        now: In [0, 1] (N, H, W).
        otherwise: Attribute -> opacity if it had its other value.
    """

    now: Tensor
    otherwise: dict[str, Tensor] = field(default_factory=dict)

    def __mul__(self, share: Tensor | float) -> "Cover":
        return Cover(self.now * share, {name: c * share for name, c in self.otherwise.items()})


@dataclass
class Painter:
    """Portraits and what their drawing functions need.

    Attributes:
        canvas: RGB (N, 3, H, W) in [0, 1], painted in place.
        marks: Which pixels each of `names` can change so far, bool (len(names), N, H, W).
        names: Attributes, and `HEAD`.
        value: Attribute -> value (N,).
        measure: Name of `MEASURES` -> (N, 1, 1).
        colour: Of the skin, the hair and what the style rolls: name -> (N, 3).
        head: Coordinates of the head.
        features: The same, moved to where the face looks.
        shares: How much of each pixel each of `PARTS` makes up so far, (len(PARTS), N, H, W); None:
            nobody asks.
    """

    canvas: Tensor
    marks: Tensor
    names: list[str]
    value: Batch
    measure: Batch
    colour: Batch
    head: Frame
    features: Frame
    shares: Tensor | None = None

    @property
    def eye(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Place outwards and upwards from the nearer eye's middle; its half width and height."""
        m = self.measure
        across = self.features.u.abs() - m["eye_distance"]
        up = self.features.v - m["eye_slant"] * across
        return across, up, m["eye_width"], m["eye_height"]

    def band(self, bottom: float, top: float) -> "Painter":
        """Return a painter of the rows alone that some head may have between two heights."""
        size = self.canvas.shape[-1]
        first, last = (
            [down - v * unit for down, unit in product(_DOWN, _UNIT)] for v in (top, bottom)
        )
        rows = slice(max(0, int(min(first) * size) - 1), int(max(last) * size) + 2)
        head, features = copy(self.head), copy(self.features)
        head.v, features.v = head.v[:, rows], features.v[:, rows]
        canvas, marks = self.canvas[:, :, rows], self.marks[:, :, rows]
        shares = None if self.shares is None else self.shares[:, :, rows]
        return replace(
            self, canvas=canvas, marks=marks, head=head, features=features, shares=shares
        )

    def only(self, name: str, cover: Cover | Tensor) -> Cover:
        """Return a layer that is there where an attribute's value is 1."""
        there = column(self.value[name].float())
        drawn = cover if isinstance(cover, Cover) else Cover(cover)
        shown = drawn * there
        return Cover(shown.now, {**shown.otherwise, name: drawn.now * (1 - there)})

    def either(self, name: str, first: Tensor, second: Tensor) -> Cover:
        """Return a layer of one opacity where an attribute's value is 0, of another where 1."""
        is_second = column(self.value[name] == 1)
        now = torch.where(is_second, second, first)
        return Cover(now, {name: torch.where(is_second, first, second)})

    def layer(
        self, cover: Cover | Tensor, colour: Tensor, *toned_by: str, part: str | None = None
    ) -> None:
        """Paint a layer.

        Args:
            cover: Its opacity.
            colour: (3,), (N, 3) or (N, 3, H or 1, W or 1).
            toned_by: Attributes that its colour depends on; `HEAD` where it is part of the head.
            part: What it shows; None: light, shadow or paint on what lies below.
        """
        drawn = cover if isinstance(cover, Cover) else Cover(cover)
        colour = colour.expand(len(self.canvas), 3) if colour.dim() == 1 else colour
        paint(self.canvas, drawn.now, colour)
        self.marks &= drawn.now < 1  # what lies below an opaque layer cannot show
        for name in toned_by:
            self.marks[self.names.index(name)] |= drawn.now > 0
        for name, other in drawn.otherwise.items():
            self.marks[self.names.index(name)] |= drawn.now != other
        if part is not None:
            self.belong(part, drawn)

    def belong(self, part: str, cover: Cover | Tensor) -> None:
        """Count what a layer covers as one of `PARTS`."""
        if self.shares is None:
            return
        now = cover.now if isinstance(cover, Cover) else cover
        self.shares *= 1 - now
        self.shares[list(PARTS).index(part)] += now


def oval(
    frame: Frame,
    across: Tensor,
    up: Tensor,
    half_width: Tensor | float,
    half_height: Tensor | float,
    power: Tensor | None = None,
) -> Tensor:
    """Return the coverage of |x / half width|^p + |y / half height|^p <= 1, by its first order.

    Args:
        frame: Says how long a pixel is.
        across: x, relative to the middle, broadcastable to (N, H, W), as all others are.
        up: y.
        half_width: Of the oval.
        half_height: Of the oval.
        power: p; None for ellipses.
    """
    x = (across.abs() / half_width).clamp_(min=1e-3)
    y = (up.abs() / half_height).clamp_(min=1e-3)
    x_term, y_term = _power(x, power), _power(y, power)
    slopes = (x_term / (x * half_width)).square() + (y_term / (y * half_height)).square()
    distance = (x_term + y_term - 1) * slopes.rsqrt_() / (2 if power is None else power)
    thin = torch.minimum(torch.as_tensor(half_width), torch.as_tensor(half_height))
    return frame.coverage(torch.maximum(distance, -thin))


def stroke(
    frame: Frame, start: tuple[Tensor, Tensor], end: tuple[Tensor, Tensor], radius: float
) -> Tensor:
    """Return the coverage of a line and its mirror image; ends are (u, v), each (N, 1, 1)."""
    across, up = frame.u.abs() - start[0], frame.v - start[1]
    run, rise = end[0] - start[0], end[1] - start[1]
    length = run.square() + rise.square()
    share = (across * (run / length) + up * (rise / length)).clamp_(0, 1)
    distance = ((across - share * run).square_() + (up - share * rise).square_()).sqrt_()
    return frame.coverage(distance - radius)


def _power(x: Tensor, power: Tensor | None) -> Tensor:
    # In doubles, as powers vary with N in floats.
    return x.square() if power is None else x.double().pow(power.double()).float()


def draw_portraits(
    value: Batch, measure: Batch, photo: Dice, style: Dice, size: int, parts: bool = False
) -> tuple[Tensor, Batch, Tensor | None]:
    """Return pictures (N, 3, size, size) in [0, 1], marks, and parts.

    Args:
        value: Attribute -> value (N,).
        measure: Name of `MEASURES` -> (N,).
        photo: Roll pose, clothes, light and what lies behind.
        style: Roll colours that are neither attributes nor the person's.
        size: Side in pixels.
        parts: Tell what each pixel shows?

    Returns:
        The pictures; for each attribute and `HEAD` a mask, bool (N, size, size): the pixels that
        the attribute's value can have an influence on, and those of the head; and, if they are
        asked for, which of `PARTS` makes up most of each pixel, uint8 (N, size, size).
    """
    canvas = _draw_backdrop(photo, size)
    names = [*value, HEAD]
    unit, across, down = (photo.between(*range_) for range_ in (_UNIT, _ACROSS, _DOWN))
    straight = torch.zeros(len(canvas), dtype=torch.bool)
    head = Frame(size, across, down, unit, straight)
    features = Frame(size, across + unit * photo.between(*_TURN), down, unit, straight)
    marks = torch.zeros(len(names), len(canvas), size, size, dtype=torch.bool)
    colour = _colours(value, measure, style)
    columns = {name: column(each) for name, each in measure.items()}
    shares = torch.zeros(len(PARTS), len(canvas), size, size) if parts else None
    if shares is not None:
        shares[0] = 1
    painter = Painter(canvas, marks, names, value, columns, colour, head, features, shares)
    outline = _hair_outline(painter)
    painter.layer(outline, painter.colour["hair"] * 0.62, "hair", HEAD, part="hair")
    _draw_body(painter.band(-3, -0.5), photo)
    _draw_head(painter.band(-1.3, 1.2), photo)
    _draw_age(painter.band(-1, 0.8))
    _draw_eyes(painter.band(-0.35, 0.5))
    _draw_nose(painter.band(-0.7, 0.1))
    _draw_mouth(painter.band(-0.95, -0.15))
    _draw_fringe(painter.band(0.2, 1.2))
    _draw_hair(painter, outline)
    _draw_glasses(painter.band(-0.35, 0.4))
    _draw_hat(painter.band(0.3, 1.7))
    canvas *= _light(photo, size)
    shown = None if shares is None else shares.argmax(0).to(torch.uint8)
    return canvas, dict(zip(names, marks, strict=True)), shown


def _colours(value: Batch, measure: Batch, style: Dice) -> Batch:
    """Return name -> colour (N, 3)."""
    darkest, lightest = _SHADES[value["hair"]].unbind(1)
    tone = torch.stack([measure["tone"] * share for share in (0.02, 0.03, 0.03)], dim=1)
    return {
        "hair": torch.lerp(darkest, lightest, style.between(0, 1)[:, None]),
        "skin": _SKINS[value["skin"]] * (1 + tone),
        "hat": _hsv(style, (0.21, 0.98), (0.55, 0.95), (0.35, 0.85)),
        "lipstick": _hsv(style, (0.89, 1.0), (0.75, 0.95), (0.65, 0.92)),
        "shadow": _hsv(style, (0.5, 0.85), (0.5, 0.85), (0.45, 0.75)),
        "frame": _hsv(style, (0.0, 1.0), (0.1, 0.8), (0.04, 0.2)),
    }


def _draw_body(p: Painter, photo: Dice) -> None:
    """Draw neck and shoulders."""
    u, v, skin = p.head.u, p.head.v, p.colour["skin"] * 0.88
    clothes = _hsv(photo, (0, 1), (0, 0.7), (0.2, 0.9))
    p.layer(oval(p.head, u, v + 2.2, 1.22, 0.92, _SQUARE), clothes, part="clothes")
    p.layer(oval(p.head, u, v + 1.22, 0.40, 0.26), skin, "skin", part="skin")
    neck = p.either("gender", p.head.coverage(u.abs() - 0.27), p.head.coverage(u.abs() - 0.37))
    neck = neck * p.head.coverage((v + 0.87).abs() - 0.37)
    p.layer(neck, skin, "skin", part="skin")
    p.layer(neck * oval(p.head, u, v + 0.9, 0.6, 0.34) * 0.25, _DARK)


def _draw_head(p: Painter, photo: Dice) -> None:
    """Draw ears and face, and the shadow of a beard."""
    u, v, m, skin = p.head.u, p.head.v, p.measure, p.colour["skin"]
    ear = oval(p.head, u.abs() - m["width"] - 0.02, v + 0.08, 0.1 * m["ears"], 0.19 * m["ears"])
    p.layer(ear, skin * 0.88, "skin", HEAD, part="skin")
    height = torch.where(v > 0, 1.0, m["chin"])
    narrow = oval(p.head, u, v, m["width"], height, m["square"])
    broad = oval(p.head, u, v, m["width"] * 1.03, height, m["square"] + 0.75)
    side = column(torch.where(photo.between(0, 1) < 0.5, -1.0, 1.0))
    lit = skin[:, :, None, None] * (1 - 0.16 * (0.5 + 0.8 * side * u).clamp(0, 1))[:, None]
    p.layer(p.either("gender", narrow, broad), lit, "skin", HEAD, part="skin")
    cheeks = (p.features.u / m["width"]).square() + ((v - 0.1) / 0.75).square()
    beard = broad * (1.8 * cheeks - 0.8).clamp(0, 1) * (-0.4 - 4 * v).clamp(0, 1) * m["beard"]
    p.layer(p.either("gender", torch.zeros_like(beard), beard), _BEARD)


def _draw_age(p: Painter) -> None:
    """Draw lines on the forehead, beside eyes and mouth, and bags under the eyes."""
    f, m = p.features, p.measure
    x, y, width, height = p.eye
    dark = oval(f, x, y + 0.7 * height + 0.03, 1.05 * width, height) * 0.55
    wing = (m["nose_width"] + 0.05, -m["nose_length"] + 0.02)
    fold = (m["mouth_width"] + 0.13, -m["mouth_height"] + 0.05)
    lines = [stroke(f, wing, fold, 0.034)]
    corner, level = m["eye_distance"] + m["eye_width"], torch.zeros_like(m["chin"])
    for rise in (0.09, -0.07):
        lines.append(stroke(f, (corner + 0.05, level), (corner + 0.15, level + rise), 0.018))
    for up in (0.47, 0.60):
        crease = f.coverage((f.v - up + 0.1 * f.u.square()).abs() - 0.028)
        lines.append(crease * f.coverage(f.u.abs() - 0.36))
    dark = torch.stack([dark, *(line * 0.8 for line in lines)]).amax(0)
    p.layer(p.only("age", dark), p.colour["skin"] * 0.5, "skin")


def _draw_eyes(p: Painter) -> None:
    """Draw eyes with their lids and brows, lashes and what is put on lids."""
    f, m = p.features, p.measure
    x, y, width, height = p.eye
    painted = oval(f, x, y - 0.6 * height - 0.03, 1.45 * width, 1.3 * height + 0.03)
    p.layer(p.only("make_up", painted * 0.8), p.colour["shadow"])
    lashes = oval(f, x - 0.02, y - 0.03, 1.25 * width, 1.25 * height)
    p.layer(p.only("make_up", lashes), _DARK, part="eyes")
    p.layer(oval(f, x, y - 0.022, 1.08 * width, 1.1 * height), _DARK * 2, part="eyes")
    white = oval(f, x, y, width, height)
    p.layer(white, _WHITE, part="eyes")
    p.layer(white * oval(f, x, f.v, 0.075, 0.085), through(_IRIS, m["iris"]))
    p.layer(white * oval(f, x, f.v, 0.035, 0.04), _DARK)
    up, arch = f.v - m["brow_height"] - m["brow_slant"] * x, x.square()
    thin = oval(f, x, up + 1.6 * arch - 0.03, 0.16, 0.026)
    thick = oval(f, x, up + 0.8 * arch + 0.02, 0.185, 0.055)
    p.layer(p.either("gender", thin, thick), through(_BROWS, m["brow_tone"]), part="brows")


def _draw_nose(p: Painter) -> None:
    """Draw a light bridge, and what is dark below it."""
    f, m, skin = p.features, p.measure, p.colour["skin"]
    bridge = oval(f, f.u, f.v + 0.55 * m["nose_length"], 0.045, 0.5 * m["nose_length"])
    p.layer(bridge * 0.5, torch.lerp(skin, torch.ones(3), 0.25), "skin")
    p.belong("nose", bridge)
    up = f.v + m["nose_length"]
    tip = oval(f, f.u, up, m["nose_width"], 0.05)
    p.layer(tip * 0.8, skin * 0.72, "skin")
    p.belong("nose", tip)
    nostrils = oval(f, f.u.abs() - 0.5 * m["nose_width"], up + 0.015, 0.026, 0.022)
    p.layer(nostrils, _DARK * 2, part="nose")


def _draw_mouth(p: Painter) -> None:
    """Draw lips, closed or parted in a smile, with and without lipstick; and rouge on cheeks."""
    f, m, skin = p.features, p.measure, p.colour["skin"]
    x, y = (f.u.abs() - m["eye_distance"] - 0.09) / 0.19, (f.v + 0.36) / 0.15
    rouge = (1 - x.square() - y.square()).clamp(0, 1) * 0.4
    p.layer(p.only("make_up", rouge), p.colour["lipstick"])
    closed, smiling = _mouth(p, 1.0, 0.0, 0.0), _mouth(p, 1.4, 0.9, 0.06)
    lips = p.either("smile", closed[0], smiling[0])
    p.layer(lips, skin * _LIPS, "skin", part="mouth")
    p.layer(p.only("make_up", lips * 0.9), p.colour["lipstick"])
    line = f.coverage((f.v + m["mouth_height"]).abs() - 0.016) * closed[0]
    p.layer(p.either("smile", line, torch.zeros_like(line)), _MOUTH)
    p.layer(p.only("smile", smiling[1]), _WHITE, part="mouth")


def _mouth(p: Painter, width: float, bend: float, open_by: float) -> tuple[Tensor, Tensor]:
    """Return the coverage of a mouth and of what is between the lips."""
    f, m = p.features, p.measure
    half = m["mouth_width"] * width
    middle = bend * (f.u.square() - 0.3 * half.square()) - m["mouth_height"] - 0.4 * open_by
    away, rest = (f.v - middle).abs(), (1 - (f.u / half).square()).clamp(min=0)
    lips = f.coverage(away - (m["lips"] + open_by) * rest)
    inside = f.coverage(away - (0.3 * m["lips"] + open_by) * rest.square())
    ends = f.coverage(f.u.abs() - half)
    return lips * ends, inside * ends


def _draw_fringe(p: Painter) -> None:
    """Draw hair that falls over the forehead, in strands."""
    f, m = p.features, p.measure
    place = 3.2 * f.u
    strand = (place - place.round()).abs()
    below = f.coverage(0.33 + 0.14 * strand - f.v)
    cover = below * oval(p.head, p.head.u, p.head.v - 0.1, m["width"] + 0.03, 0.9)
    tone = p.colour["hair"][:, :, None, None] * (0.92 - 0.25 * strand)[:, None]
    p.layer(p.only("fringe", cover), tone, "hair", HEAD, part="hair")


def _hair_outline(p: Painter) -> Cover:
    """Return all that hair covers, were it not for the face: long or short."""
    m = p.measure
    long = _mop(p, m["hair_width"], -m["hair_length"])
    return p.either("gender", long, _mop(p, 0.02 + 0.3 * m["hair_width"], -0.12))


def _mop(p: Painter, beside: Tensor, lowest: Tensor | float) -> Tensor:
    """Return the coverage of a dome, as much wider than the face, on upright sides."""
    above, below = p.head.v - 0.12, lowest + 0.3 - p.head.v
    up, height = torch.maximum(above, below).clamp(min=0), torch.where(above > 0, 0.98, 0.3)
    return oval(p.head, p.head.u, up, p.measure["width"] + beside, height)


def _draw_hair(p: Painter, outline: Cover) -> None:
    """Draw the hair that frames the face."""
    up = (p.head.v + 0.2).clamp(min=0)
    face = oval(p.features, p.features.u, up, 0.93 * p.measure["width"], 0.9, _SQUARE)
    shine = 1 - 0.9 * (p.head.v - 0.8).abs().clamp(max=0.35)
    tone = p.colour["hair"][:, :, None, None] * shine[:, None]
    p.layer(outline * (1 - face), tone, "hair", HEAD, part="hair")


def _draw_glasses(p: Painter) -> None:
    """Draw a dark frame with slightly tinted lenses."""
    f, m = p.features, p.measure
    x = f.u.abs() - m["eye_distance"]
    lens, rim = (
        oval(f, x, f.v + 0.02, 0.24 + more, 0.19 + more, _SQUARE) for more in (-0.03, 0.045)
    )
    p.layer(p.only("glasses", lens * 0.25), _LENS)
    p.belong("glasses", p.only("glasses", lens))
    bridge = f.coverage((f.v - 0.05).abs() - 0.035) * f.coverage(f.u.abs() - m["width"])
    frame = torch.maximum(rim * (1 - lens), bridge * (1 - oval(f, x, f.v, 0.24, 0.19, _SQUARE)))
    p.layer(p.only("glasses", frame), p.colour["frame"], HEAD, part="glasses")


def _draw_hat(p: Painter) -> None:
    """Draw a hat that hides the top of the head."""
    u, v, m = p.head.u, p.head.v, p.measure
    crown = oval(p.head, u, v - 0.62, m["width"] + 0.16, 0.80, _SQUARE) * p.head.coverage(0.62 - v)
    lit = p.colour["hat"][:, :, None, None] * (1 - 0.2 * (0.5 + 0.6 * u).clamp(0, 1))[:, None]
    p.layer(p.only("hat", crown), lit, HEAD, part="hat")
    p.layer(p.only("hat", crown * p.head.coverage(v - 0.86)), p.colour["hat"] * 0.55, HEAD)
    brim = oval(p.head, u, v - 0.66 + 0.1 * u.square(), m["width"] + 0.42, 0.1, _SQUARE)
    p.layer(p.only("hat", brim), lit, HEAD, part="hat")


def through(colours: Tensor, share: Tensor) -> Tensor:
    """Return colours (N, 3) at shares (N, 1, 1), in [0, 1], of the way through colours (K, 3)."""
    place = share.flatten() * (len(colours) - 1)
    first = place.long().clamp(max=len(colours) - 2)
    return torch.lerp(colours[first], colours[first + 1], (place - first)[:, None])


def _hsv(
    dice: Dice,
    hue: tuple[float, float],
    saturation: tuple[float, float],
    value: tuple[float, float],
) -> Tensor:
    """Return colours (N, 3) between limits of hue in turns, saturation and value."""
    h, s, v = (dice.between(*limits)[:, None] for limits in (hue, saturation, value))
    sector = (6 * h + torch.tensor([0.0, 4.0, 2.0])).remainder(6)
    return v * torch.lerp(torch.ones(3), ((sector - 3).abs() - 1).clamp(0, 1), s)


def _draw_backdrop(dice: Dice, size: int) -> Tensor:
    """Return what lies behind (N, 3, size, size): a wall with a panel and blurred lamps."""
    centres = (torch.arange(size) + 0.5) / size
    x, y = centres[None, None, :], centres[None, :, None]
    wall, panel, lamp = (_hsv(dice, (0, 1), (0, 0.4), (0.3, 0.95)) for _ in range(3))
    canvas = (wall[:, :, None, None] * (1 - 0.2 * y)).expand(-1, -1, -1, size).contiguous()
    edge = column(dice.between(-0.3, 1.3))
    paint(canvas, ((x - edge) * size + 0.5).clamp(0, 1).expand(-1, size, -1), panel)
    for _ in range(2):
        radius = column(dice.between(0.08, 0.25))
        across, down = x - column(dice.between(0, 1)), y - column(dice.between(0, 0.7))
        away = (across.square() + down.square()) / radius.square()
        paint(canvas, (1.4 - away).clamp_(0, 0.5), lamp)
    return canvas


def _light(dice: Dice, size: int) -> Tensor:
    """Return how bright each pixel is lit (N, 3, 1, W), at most 1."""
    place = (torch.arange(size) + 0.5) / size - 0.5
    slope = dice.between(-0.2, 0.2)[:, None]
    across = dice.between(0.88, 1.0)[:, None] * (1 + slope * place - slope.abs() / 2)
    warmth = dice.between(-0.04, 0.04)
    tint = torch.stack([1 + warmth.clamp(max=0), 1 - warmth.abs() / 2, 1 - warmth.clamp(min=0)], 1)
    return across[:, None, None, :] * tint[:, :, None, None]
