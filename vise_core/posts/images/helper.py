"""Decode costly images in a helper process with limits of memory, processor time and output.

A helper serves one image after the other, and is killed with the image that goes beyond a limit. It has no settings and
no credentials of this process. Unused helpers end after a while, and all of them with this process.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import threading
from typing import IO, Final

from PIL import Image

from vise_core.errors import BadImage
from vise_core.helper_process import HelperProcess, begin_serving
from vise_core.priority import lower_priority

from .pixels import Decoded, decode_pixels

MEMORY_BYTES: Final = 512 * 2**20
SECONDS: Final = 5.0
"""Processor time of one image."""
PATIENCE_SECONDS: Final = 60.0
"""A helper that has not responded by then is killed, however little processor time it took."""
HELPERS: Final = 4
NICENESS: Final = 5
"""Added to the niceness of the process that an image is decoded for: more than ordinary images, less than runs."""
IDLE_SECONDS: Final = 30
_STRIP_BYTES: Final = 2**20
_COSTLY: Final = "save it as a JPEG, or as a PNG of 8 bits, of fewer pixels"

_turns = threading.BoundedSemaphore(HELPERS)
_unused: list[_Helper] = []


def decode_limited(data: bytes, max_pixels: int) -> Decoded:
    """Decode an image as ``decode_pixels`` does, in a helper process.

    Raises BadImage for an image that does not decode, with the reason ``too_costly`` for one that goes beyond a limit
    of time or memory.
    """
    with _turns:
        while True:
            try:
                helper = _unused.pop()
            except IndexError:
                helper = _Helper()
            try:
                decoded = helper.decode(data, max_pixels)
            except _Ended as ended:
                if ended.code == 0:  # It was unused for so long that it ended by itself.
                    continue
                raise BadImage(_why(ended.code), "too_costly") from ended
            except BadImage:
                _unused.append(helper)
                raise
            except BaseException:
                helper.end()
                raise
            _unused.append(helper)
            return decoded


def _why(code: int) -> str:
    if code == -signal.SIGPROF:
        return f"decoding the image takes more than {SECONDS:g} s of processor time; {_COSTLY}"
    return (
        f"the image ended the process that decoded it (code {code}), so it is damaged or hostile; {_COSTLY}"
    )


class _Ended(Exception):
    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class _Helper(HelperProcess):
    def __init__(self) -> None:
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}
        super().__init__(__name__, environment, IDLE_SECONDS)

    def decode(self, data: bytes, max_pixels: int) -> Decoded:
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            self._write.write(len(data).to_bytes(8, "big") + max_pixels.to_bytes(8, "big"))
            self._write.write(data)
            self._write.flush()
            response = json.loads(self._exactly(int.from_bytes(self._exactly(4), "big")))
            if "reason" in response:
                raise BadImage(response["message"], response["reason"])
            return Decoded(self._image(*response["size"]), response["plain"], tuple(response["repairs"]))
        except (BrokenPipeError, EOFError) as error:
            raise _Ended(self.end()) from error
        finally:
            timer.cancel()

    def _image(self, width: int, height: int) -> Image.Image:
        image = Image.new("RGB", (width, height))
        rows = _strip_rows(width)
        for top in range(0, height, rows):
            size = width, min(rows, height - top)
            image.paste(Image.frombytes("RGB", size, self._exactly(3 * size[0] * size[1])), (0, top))
        return image

    def _exactly(self, length: int) -> bytes:
        data = self._read.read(length)
        if len(data) < length:
            raise EOFError
        return data


def _after_fork() -> None:
    """A fork has helpers of its own; those of its parent end with their pipes."""
    global _turns
    _turns = threading.BoundedSemaphore(HELPERS)
    while _unused:
        _unused.pop().forget()


os.register_at_fork(after_in_child=_after_fork)


@atexit.register
def _end_unused() -> None:
    while _unused:
        _unused.pop().end()


def serve(parent: int, idle: float) -> None:
    """Decode the images that come on standard input, until it ends. The main function of a helper."""
    _limit()
    read, write = begin_serving(parent, MEMORY_BYTES)
    while select.select([read], [], [], idle)[0] and len(header := read.read(16)) == 16:
        size, max_pixels = int.from_bytes(header[:8], "big"), int.from_bytes(header[8:], "big")
        # The default action of its signal ends the process.
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            _answer(write, decode_pixels(read.read(size), max_pixels))
        except BadImage as error:
            _head(write, {"message": str(error), "reason": error.reason})
        except MemoryError:
            message = f"decoding the image takes more than {MEMORY_BYTES // 2**20} MB of memory; {_COSTLY}"
            _head(write, {"message": message, "reason": "too_costly"})
        write.flush()
        signal.setitimer(signal.ITIMER_PROF, 0)


def _answer(write: IO[bytes], decoded: Decoded) -> None:
    image = decoded.image
    _head(write, {"size": image.size, "plain": decoded.plain, "repairs": decoded.repairs})
    rows = _strip_rows(image.width)
    for top in range(0, image.height, rows):
        write.write(image.crop((0, top, image.width, min(top + rows, image.height))).tobytes())


def _head(write: IO[bytes], response: dict[str, object]) -> None:
    data = json.dumps(response).encode()
    write.write(len(data).to_bytes(4, "big") + data)


def _strip_rows(width: int) -> int:
    return max(1, _STRIP_BYTES // (3 * width))


def _limit() -> None:
    """Use one thread, write no file, and be the last to get the processor."""
    import resource

    import pillow_heif
    from PIL import AvifImagePlugin

    AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    pillow_heif.options.DECODE_THREADS = 1
    lower_priority(NICENESS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
