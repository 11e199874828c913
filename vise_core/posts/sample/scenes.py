"""Draw synthetic scenes: an object with a face in a place, and cues of an emotion.

As in UnbiasedEmotion, the same objects and places occur under every emotion; only expression, colour and scene depend
on the emotion, and each cue is noisy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from .faces import NEUTRAL, draw_face, heart

Colour = tuple[int, int, int]
OBJECTS = ("dog", "cat", "person", "balloon", "house", "tree", "car")
PLACES = ("park", "room", "street", "beach")
SCALE = 3
"""Drawn larger, then scaled down: smooth edges."""

P_EXPRESSION, P_COLOUR, P_SCENE = 0.85, 0.6, 0.5

_PLACE_COLOURS: dict[str, tuple[Colour, Colour]] = {
    "park": ((176, 214, 236), (124, 172, 96)),
    "room": ((226, 210, 186), (162, 122, 90)),
    "street": ((196, 204, 214), (128, 130, 138)),
    "beach": ((170, 216, 240), (232, 212, 160)),
}
_MOOD: dict[str, Colour] = {
    "anger": (196, 48, 36),
    "fear": (56, 40, 88),
    "joy": (255, 206, 72),
    "love": (250, 140, 172),
    "sadness": (70, 96, 138),
    "surprise": (120, 222, 214),
}


@dataclass(frozen=True)
class Scene:
    """The contents of an image. Cues that are off are drawn neutral."""

    emotion: str
    thing: str
    place: str
    expression: bool
    colour: bool
    elements: bool


def choose_scene(rng: Random, emotion: str) -> Scene:
    """Draw a random scene: object and place do not depend on the emotion, and at least one cue is on."""
    thing, place = rng.choice(OBJECTS), rng.choice(PLACES)
    cues = [rng.random() < p for p in (P_EXPRESSION, P_COLOUR, P_SCENE)]
    if not any(cues):
        cues[0] = True
    return Scene(emotion, thing, place, *cues)


def draw_scene(rng: Random, scene: Scene, size: int) -> tuple[Image.Image, Image.Image]:
    """Return (RGB image, L mask, white where a cue shows the emotion), both (size, size)."""
    side = size * SCALE
    image = Image.new("RGB", (side, side))
    mask = Image.new("L", (side, side))
    draw, on_mask = ImageDraw.Draw(image), ImageDraw.Draw(mask)
    _place(draw, rng, scene.place, side)
    x, y = side * rng.uniform(0.36, 0.64), side * rng.uniform(0.46, 0.62)
    r = side * rng.uniform(0.17, 0.25)
    _THINGS[scene.thing](draw, rng, x, y, r)
    draw_face(draw, rng, scene.emotion if scene.expression else NEUTRAL, x, y, r)
    if scene.expression:
        on_mask.ellipse((x - r, y - r, x + r, y + r), fill=255)
    if scene.elements:
        _ELEMENTS[scene.emotion](draw, on_mask, rng, side)
    if scene.colour:
        tint = Image.new("RGB", image.size, _MOOD[scene.emotion])
        image = Image.blend(image, tint, rng.uniform(0.16, 0.38))
    if not scene.expression and not scene.elements:
        on_mask.rectangle((0, 0, side, side), fill=255)  # Colour alone: the whole picture carries it.
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.8)))
    return image, mask.resize((size, size), Image.Resampling.BOX).point(lambda v: 255 if v > 127 else 0)


def _vary(rng: Random, colour: Colour, by: int = 26) -> Colour:
    red, green, blue = (max(0, min(255, c + rng.randint(-by, by))) for c in colour)
    return red, green, blue


def _place(draw: ImageDraw.ImageDraw, rng: Random, place: str, side: int) -> None:
    above, below = (_vary(rng, c) for c in _PLACE_COLOURS[place])
    horizon = side * rng.uniform(0.5, 0.72)
    draw.rectangle((0, 0, side, horizon), fill=above)
    draw.rectangle((0, horizon, side, side), fill=below)
    for _ in range(rng.randint(2, 4)):
        x, w = side * rng.random(), side * rng.uniform(0.06, 0.14)
        if place == "park":
            draw.ellipse((x - w, horizon - 2 * w, x + w, horizon + w * 0.3), fill=_vary(rng, (88, 138, 78)))
        elif place == "room":
            draw.rectangle(
                (x - w, horizon - 4 * w, x + w, horizon - 2 * w), fill=_vary(rng, (190, 150, 120), 50)
            )
        elif place == "street":
            top = horizon - w * rng.uniform(2, 5)
            draw.rectangle((x - w, top, x + w, horizon), fill=_vary(rng, (150, 140, 138), 40))
        else:
            draw.line(
                [(x - w, horizon - w * 0.4), (x + w, horizon - w * 0.4)], fill=(236, 244, 248), width=SCALE
            )


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, fill: Colour) -> None:
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _dog(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    coat = _vary(rng, (198, 152, 102), 40)
    draw.ellipse((x - r * 1.1, y + r * 0.5, x + r * 1.1, y + r * 2.4), fill=coat)
    for side in (-1, 1):
        ear = x + side * r * 0.95
        draw.ellipse(
            (ear - r * 0.35, y - r * 0.9, ear + r * 0.35, y + r * 0.5), fill=_vary(rng, (120, 82, 56), 20)
        )
    _circle(draw, x, y, r * 1.05, coat)


def _cat(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    coat = _vary(rng, (172, 172, 176), 50)
    draw.ellipse((x - r, y + r * 0.5, x + r, y + r * 2.4), fill=coat)
    for side in (-1, 1):
        tip = (x + side * r * 0.85, y - r * 1.45)
        draw.polygon([(x + side * r * 0.2, y - r * 0.8), tip, (x + side * r * 1.0, y - r * 0.3)], fill=coat)
    _circle(draw, x, y, r * 1.05, coat)


def _person(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    skin = rng.choice([(246, 208, 176), (222, 172, 130), (168, 118, 82), (112, 76, 54)])
    shirt = _vary(rng, (110, 130, 170), 80)
    draw.rounded_rectangle((x - r * 1.2, y + r * 0.8, x + r * 1.2, y + r * 3.2), r * 0.5, fill=shirt)
    _circle(draw, x, y - r * 0.18, r * 1.12, _vary(rng, (72, 52, 40), 40))
    _circle(draw, x, y, r, skin)


def _balloon(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    draw.line([(x, y + r), (x + r * 0.3, y + r * 3.4)], fill=(90, 90, 90), width=SCALE)
    draw.ellipse((x - r * 1.1, y - r * 1.2, x + r * 1.1, y + r * 1.25), fill=_vary(rng, (190, 150, 190), 70))


def _house(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    draw.rectangle((x - r * 1.2, y - r * 0.9, x + r * 1.2, y + r * 1.8), fill=_vary(rng, (224, 200, 170), 40))
    roof = [(x - r * 1.5, y - r * 0.85), (x, y - r * 1.9), (x + r * 1.5, y - r * 0.85)]
    draw.polygon(roof, fill=_vary(rng, (150, 84, 66), 40))


def _tree(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    draw.rectangle((x - r * 0.3, y + r * 0.8, x + r * 0.3, y + r * 2.8), fill=_vary(rng, (118, 86, 58), 20))
    leaf = _vary(rng, (112, 162, 92), 36)
    for dx, dy in ((-0.6, 0.1), (0.6, 0.1), (0, -0.55), (0, 0.2)):
        _circle(draw, x + dx * r, y + dy * r, r * 0.95, leaf)


def _car(draw: ImageDraw.ImageDraw, rng: Random, x: float, y: float, r: float) -> None:
    paint = _vary(rng, (150, 160, 180), 80)
    draw.rounded_rectangle((x - r * 1.8, y - r * 0.4, x + r * 1.8, y + r * 1.1), r * 0.4, fill=paint)
    _circle(draw, x, y - r * 0.05, r * 1.05, paint)
    for side in (-1, 1):
        _circle(draw, x + side * r * 1.1, y + r * 1.15, r * 0.42, (50, 50, 54))


_THINGS: dict[str, Callable[[ImageDraw.ImageDraw, Random, float, float, float], None]] = {
    "dog": _dog,
    "cat": _cat,
    "person": _person,
    "balloon": _balloon,
    "house": _house,
    "tree": _tree,
    "car": _car,
}

Elements = Callable[[ImageDraw.ImageDraw, ImageDraw.ImageDraw, Random, int], None]


def _mark(mask: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    mask.ellipse((x - r, y - r, x + r, y + r), fill=255)


def _sparks(draw: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, rng: Random, side: int) -> None:
    for _ in range(rng.randint(3, 5)):
        x, y, step = side * rng.uniform(0.05, 0.9), side * rng.uniform(0.03, 0.3), side * 0.05
        points = [
            (x, y),
            (x + step, y + step),
            (x + step * 0.3, y + step * 1.3),
            (x + step * 1.3, y + step * 2.6),
        ]
        draw.line(points, fill=(212, 30, 22), width=SCALE * 2)
        _mark(mask, x + step * 0.7, y + step * 1.3, step * 1.6)


def _shadows(draw: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, rng: Random, side: int) -> None:
    for _ in range(rng.randint(2, 3)):
        x, y, r = side * rng.choice([0.08, 0.16, 0.84, 0.92]), side * rng.uniform(0.15, 0.7), side * 0.1
        draw.ellipse((x - r, y - r * 1.7, x + r, y + r * 1.9), fill=(26, 20, 40))
        for dx in (-0.4, 0.4):
            _circle(draw, x + dx * r, y - r * 0.6, r * 0.18, (236, 232, 160))
        _mark(mask, x, y, r * 1.6)


def _sun(draw: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, rng: Random, side: int) -> None:
    x, y, r = side * rng.choice([0.15, 0.85]), side * rng.uniform(0.12, 0.2), side * rng.uniform(0.08, 0.11)
    for turn in range(10):
        angle = turn * math.tau / 10
        end = (x + 1.8 * r * math.cos(angle), y + 1.8 * r * math.sin(angle))
        draw.line([(x, y), end], fill=(255, 196, 30), width=SCALE)
    _circle(draw, x, y, r, (255, 212, 44))
    _mark(mask, x, y, r * 1.8)


def _hearts(draw: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, rng: Random, side: int) -> None:
    for _ in range(rng.randint(3, 5)):
        x, y, r = (
            side * rng.uniform(0.06, 0.94),
            side * rng.uniform(0.06, 0.34),
            side * rng.uniform(0.03, 0.06),
        )
        heart(draw, x, y, r, _vary(rng, (232, 50, 96), 18))
        _mark(mask, x, y, r * 1.3)


def _rain(draw: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, rng: Random, side: int) -> None:
    cloud_x, cloud_y, r = side * rng.uniform(0.25, 0.75), side * 0.12, side * 0.1
    for dx in (-1.2, 0, 1.2):
        _circle(draw, cloud_x + dx * r, cloud_y, r, (138, 146, 158))
    for _ in range(16):
        x, y = cloud_x + side * rng.uniform(-0.24, 0.24), side * rng.uniform(0.2, 0.5)
        draw.line([(x, y), (x - side * 0.015, y + side * 0.06)], fill=(84, 126, 190), width=SCALE)
    _mark(mask, cloud_x, cloud_y + r, r * 2.3)


def _bursts(draw: ImageDraw.ImageDraw, mask: ImageDraw.ImageDraw, rng: Random, side: int) -> None:
    for _ in range(rng.randint(2, 4)):
        x, y, r = (
            side * rng.uniform(0.08, 0.92),
            side * rng.uniform(0.06, 0.32),
            side * rng.uniform(0.05, 0.08),
        )
        points = []
        for turn in range(16):
            reach = r if turn % 2 == 0 else r * 0.42
            points.append(
                (x + reach * math.cos(turn * math.tau / 16), y + reach * math.sin(turn * math.tau / 16))
            )
        draw.polygon(points, fill=_vary(rng, (255, 244, 120), 10))
        _mark(mask, x, y, r)


_ELEMENTS: dict[str, Elements] = {
    "anger": _sparks,
    "fear": _shadows,
    "joy": _sun,
    "love": _hearts,
    "sadness": _rain,
    "surprise": _bursts,
}
