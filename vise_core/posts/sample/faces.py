"""Draw facial expressions: eyes, brows and mouth for each emotion, in pixel coordinates."""

from __future__ import annotations

from random import Random

from PIL import ImageDraw

INK = (38, 30, 34)
WHITE = (250, 250, 246)

NEUTRAL = "neutral"


def draw_face(draw: ImageDraw.ImageDraw, rng: Random, emotion: str, x: float, y: float, r: float) -> None:
    """Draw the features of a face with centre (x, y) and radius r; ``neutral`` is a face without emotion."""
    width = max(2, round(r * 0.11))
    gap = r * rng.uniform(0.36, 0.46)
    eye_y = y - r * 0.15
    for side in (-1, 1):
        _eye(draw, emotion, x + side * gap, eye_y, r, width)
        _brow(draw, emotion, x + side * gap, eye_y - r * 0.36, r, width, side)
    _mouth(draw, emotion, x, y + r * 0.42, r * rng.uniform(0.9, 1.1), width)
    if emotion == "sadness":
        tx, ty = x + gap, eye_y + r * 0.42
        draw.ellipse((tx - r * 0.1, ty - r * 0.15, tx + r * 0.1, ty + r * 0.17), fill=(95, 170, 240))
    if emotion == "love":
        for side in (-1, 1):
            cx, cy = x + side * r * 0.62, y + r * 0.25
            draw.ellipse((cx - r * 0.17, cy - r * 0.11, cx + r * 0.17, cy + r * 0.11), fill=(244, 120, 140))


def heart(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, fill: tuple[int, int, int]) -> None:
    """Draw a heart with centre (x, y) and half width r."""
    draw.ellipse((x - r, y - r * 0.9, x + r * 0.06, y + r * 0.2), fill=fill)
    draw.ellipse((x - r * 0.06, y - r * 0.9, x + r, y + r * 0.2), fill=fill)
    draw.polygon([(x - r * 0.93, y - r * 0.1), (x + r * 0.93, y - r * 0.1), (x, y + r)], fill=fill)


def _eye(draw: ImageDraw.ImageDraw, emotion: str, x: float, y: float, r: float, width: int) -> None:
    if emotion == "joy":
        draw.arc((x - r * 0.2, y - r * 0.12, x + r * 0.2, y + r * 0.28), 190, 350, fill=INK, width=width)
    elif emotion == "love":
        heart(draw, x, y, r * 0.24, (226, 44, 82))
    elif emotion in ("fear", "surprise"):
        size = r * (0.3 if emotion == "surprise" else 0.27)
        draw.ellipse(
            (x - size, y - size, x + size, y + size), fill=WHITE, outline=INK, width=max(1, width // 2)
        )
        pupil = size * (0.5 if emotion == "surprise" else 0.3)
        draw.ellipse((x - pupil, y - pupil, x + pupil, y + pupil), fill=INK)
    else:
        draw.ellipse((x - r * 0.13, y - r * 0.16, x + r * 0.13, y + r * 0.16), fill=INK)


def _brow(
    draw: ImageDraw.ImageDraw, emotion: str, x: float, y: float, r: float, width: int, side: int
) -> None:
    # Positive: the inner end is lower, as in anger; negative: it is higher, as in sadness and fear.
    slant = {"anger": 0.2, "sadness": -0.17, "fear": -0.2}.get(emotion, 0.0) * r
    lift = {"surprise": 0.16, "fear": 0.1, "anger": -0.12}.get(emotion, 0.0) * r
    if emotion in ("joy", "love"):
        return
    inner, outer = (x - side * r * 0.22, y - lift + slant), (x + side * r * 0.22, y - lift - slant)
    draw.line([inner, outer], fill=INK, width=width)


def _mouth(draw: ImageDraw.ImageDraw, emotion: str, x: float, y: float, r: float, width: int) -> None:
    if emotion == "joy":
        draw.chord(
            (x - r * 0.42, y - r * 0.42, x + r * 0.42, y + r * 0.32), 0, 180, fill=(120, 24, 40), outline=INK
        )
    elif emotion == "love":
        draw.arc((x - r * 0.32, y - r * 0.35, x + r * 0.32, y + r * 0.16), 10, 170, fill=INK, width=width)
    elif emotion == "sadness":
        draw.arc((x - r * 0.34, y, x + r * 0.34, y + r * 0.5), 195, 345, fill=INK, width=width)
    elif emotion == "anger":
        box = (x - r * 0.36, y - r * 0.08, x + r * 0.36, y + r * 0.2)
        draw.rectangle(box, fill=WHITE, outline=INK, width=max(1, width // 2))
        for part in range(1, 4):
            px = box[0] + part * (box[2] - box[0]) / 4
            draw.line([(px, box[1]), (px, box[3])], fill=INK, width=max(1, width // 3))
    elif emotion == "surprise":
        draw.ellipse(
            (x - r * 0.19, y - r * 0.16, x + r * 0.19, y + r * 0.32), fill=(110, 28, 40), outline=INK
        )
    elif emotion == "fear":
        step = r * 0.16
        points = [(x + (i - 2) * step, y + r * 0.08 + (-1) ** i * r * 0.07) for i in range(5)]
        draw.line(points, fill=INK, width=width, joint="curve")
    else:
        draw.line([(x - r * 0.25, y + r * 0.05), (x + r * 0.25, y + r * 0.05)], fill=INK, width=width)
