"""Start times of the command line, of the backend's import, and of ``vise up`` to its first page.

    python -m benchmarks.startup [--repeats 5] [--ups 1]

``vise up`` runs in a home of its own on free ports, once without a clock, so that an installed machine is timed; the
clock stops when the page of the printed link is served. Exits with 1 where a median is above its figure, or the
backend imports torch.
"""

from __future__ import annotations

import argparse
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from backend.local.processes import free_port

from .measures.rows import Row, parser_of, verdict

HELP_SECONDS, IMPORT_SECONDS, UP_SECONDS = 0.3, 1.5, 10.0
VISE = Path(sys.executable).with_name("vise")
IMPORT = "import sys, backend.api.app; sys.exit('torch' in sys.modules)"
GIVE_UP = 120.0


def timed(command: list[str], repeats: int) -> list[float]:
    """Return the seconds of each run after a first one that fills caches. Raises CalledProcessError."""
    seconds = []
    for _ in range(repeats + 1):
        clock = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - clock)
    return seconds[1:]


def up(home: Path) -> float:
    """Return the seconds from ``vise up`` to its page, then stop it with SIGINT."""
    log_file, page = home / "up.log", free_port()
    command = [str(VISE), "up", "--no-browser", "--home", str(home), "--port", str(page)]
    with log_file.open("wb") as log:
        clock = time.perf_counter()
        process = subprocess.Popen([*command, "--api-port", str(free_port())], stdout=log, stderr=log)
    try:
        while not (link := re.search(r"http\S+/auth/login\?code=\S+", log_file.read_text())):
            if process.poll() is not None or time.perf_counter() - clock > GIVE_UP:
                raise RuntimeError(f"vise up did not start:\n{log_file.read_text()}")
            time.sleep(0.02)
        with httpx.Client(follow_redirects=True, timeout=GIVE_UP) as client:
            address, code = link.group(0).split("?code=")
            client.post(address, data={"code": code}).raise_for_status()
        return time.perf_counter() - clock
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def parser() -> argparse.ArgumentParser:
    parser = parser_of(__doc__, repeats=5)
    parser.add_argument("--ups", type=int, default=1, help="Timed starts of the whole system.")
    return parser


def measure(options: argparse.Namespace) -> list[Row]:
    """Print and return the medians."""
    print(f"Python {platform.python_version()}, {platform.machine()}, medians\n", flush=True)
    measured = {
        "vise --help": (timed([str(VISE), "--help"], options.repeats), HELP_SECONDS),
        "import of the backend, without torch": (
            timed([sys.executable, "-c", IMPORT], options.repeats),
            IMPORT_SECONDS,
        ),
    }
    # Run as root, PostgreSQL has its own account, which must be able to reach the folder.
    with tempfile.TemporaryDirectory(prefix="vise-bench-", ignore_cleanup_errors=True) as temporary:
        home = Path(temporary)
        up(home)
        measured["vise up to its first page"] = [up(home) for _ in range(options.ups)], UP_SECONDS
    medians = {name: (statistics.median(seconds), most) for name, (seconds, most) in measured.items()}
    for name, (median, most) in medians.items():
        print(f"{name}: {median:.2f} s (< {most:g} s)")
    return [
        Row(name, f"{median:.2f} s", needed=f"< {most:g} s", reached=median < most)
        for name, (median, most) in medians.items()
    ]


if __name__ == "__main__":
    sys.exit(verdict(measure(parser().parse_args())))
