"""Bounds on what reading one untrusted file may take of this process: memory, processor time and size of what it writes."""

from __future__ import annotations

import errno
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

from vise_core.errors import BadInput

DATA_MEMORY_BYTES = 2 * 2**30
DATA_SECONDS = 120.0
DATA_BYTES_PER_SECOND = 20_000
"""What reading a data set may take of memory and processor time; see docs/security.md. Images that are large but
compress well, such as screenshots, take most: some 100 kB a second."""


class _TooLong(BaseException):
    """The processor time is used up. No ``except Exception`` of a reader stops it."""


@contextmanager
def limited(name: str, *, memory: int, seconds: float, file_bytes: int | None = None) -> Iterator[None]:
    """Bound what a block may take, on Linux; the limits before are restored after it.

    ``memory``: bytes in addition to what the process has. ``seconds`` of processor time, which are bounded in the main
    thread only. ``file_bytes``: of each file that is written; without, as before. Raises BadInput, with ``name``, if the
    block takes more.
    """
    if sys.platform != "linux":
        yield
        return
    import resource

    status = Path("/proc/self/status").read_text()
    used = 1024 * int(status.partition("VmData:")[2].split()[0])
    limits = {resource.RLIMIT_DATA: used + memory}
    if file_bytes is not None:
        limits[resource.RLIMIT_FSIZE] = file_bytes
    main = threading.current_thread() is threading.main_thread()
    if main:
        limits[resource.RLIMIT_CPU] = int(time.process_time() + seconds) + 1
    before = {kind: resource.getrlimit(kind) for kind in limits}

    def stop(_: int, __: FrameType | None) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, before[resource.RLIMIT_CPU])  # else it comes each second
        raise _TooLong

    handler = signal.signal(signal.SIGXCPU, stop) if main else None
    try:
        for kind, value in limits.items():
            soft, hard = before[kind]
            bounds = [bound for bound in (value, soft, hard) if bound != resource.RLIM_INFINITY]
            resource.setrlimit(kind, (min(bounds), hard))
        yield
    except _TooLong as error:
        raise BadInput(_reason(name, f"{seconds:,.0f} s of processor time")) from error
    except (MemoryError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno == errno.EFBIG and file_bytes is not None:
            raise BadInput(_reason(name, f"{file_bytes:,} bytes of one file")) from error
        if isinstance(error, MemoryError) or _is_memory(error):
            raise BadInput(_reason(name, f"{memory // 2**20:,} MB of memory")) from error
        raise
    finally:
        for kind, limit in before.items():
            resource.setrlimit(kind, limit)
        if main:
            signal.signal(signal.SIGXCPU, handler)


def limited_data(files: Iterable[Path]) -> AbstractContextManager[None]:
    """Bound what reading the rows and images of a data set may take, by the sizes of its files; see ``limited``."""
    sizes = [path.lstat().st_size for path in files]
    return limited(
        "the data set",
        # A row group of Parquet, at most the file, is in memory at once.
        memory=DATA_MEMORY_BYTES + max(sizes, default=0),
        seconds=DATA_SECONDS + sum(sizes) / DATA_BYTES_PER_SECOND,
    )


def _is_memory(error: RuntimeError | OSError) -> bool:
    """Return whether memory could not be allocated; native code says so only in words."""
    return getattr(error, "errno", None) == errno.ENOMEM or "allocate memory" in str(error)


def _reason(name: str, what: str) -> str:
    return f"{name}: reading it takes more than {what}, so it is damaged or hostile; get the file again"
