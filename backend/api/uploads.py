"""Uploaded images: what can be said of them without decoding, and waiting for the worker that decodes them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from fastapi import UploadFile
from fastapi.concurrency import run_in_threadpool

from .errors import ApiProblem

FIRST_LOOK, LONGEST_PAUSE = 0.02, 0.25


async def read_image(image: UploadFile, most: int) -> bytes:
    """The upload, refused where it cannot be one; the rest is the prediction worker's, under its limits."""
    data = await image.read(most + 1)
    if not data:
        raise ApiProblem(400, "Empty upload", "the field image is empty; choose a file")
    if len(data) > most:
        raise ApiProblem(
            413, "Too large", f"the image is larger than {most // 2**20} MiB; send a smaller one"
        )
    head = data[:512].lstrip()
    if head.startswith((b"<svg", b"<?xml", b"<!DOCTYPE", b"<html")):
        raise ApiProblem(
            415, "Not an image", "SVG and HTML are not pictures here; send JPEG, PNG, WebP, GIF, BMP or TIFF"
        )
    known = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
    if not data.startswith(known) and not (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        raise ApiProblem(415, "Not an image", "send JPEG, PNG, WebP, GIF, BMP or TIFF")
    return data


async def answered(state: Callable[[], str | None], wait: float) -> None:
    """Look again and again, each time a little later, without holding a thread or a connection meanwhile."""
    until, pause = time.monotonic() + wait, FIRST_LOOK
    while time.monotonic() < until:
        if await run_in_threadpool(state) != "queued":
            return
        await asyncio.sleep(min(pause, max(0.0, until - time.monotonic())))
        pause = min(1.5 * pause, LONGEST_PAUSE)
