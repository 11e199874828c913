"""Commands in processes of their own, for tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping


def run_vise(
    *arguments: object, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run ``vise`` with these arguments, by default in the environment of the tests, without colours."""
    command = [sys.executable, "-c", "from vise_client.cli import main; main()", *map(str, arguments)]
    own = os.environ | {"NO_COLOR": "1"} if environment is None else environment
    return subprocess.run(command, check=False, capture_output=True, text=True, env=own)


def stop_processes(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """End processes with SIGTERM; kill those that are still there after 20 s."""
    processes = list(processes)
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
