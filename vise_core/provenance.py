"""Software and hardware that a result was made with."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "scikit-learn", "numpy", "pillow", "pyarrow")
"""Packages that results depend on."""


def software() -> dict[str, Any]:
    """Return ``git_commit`` of this code, and ``packages`` with the versions of Python and of ``PACKAGES``."""
    return {"git_commit": git_commit(), "packages": package_versions()}


@cache
def git_commit() -> str | None:
    """Return the commit that this code was checked out at; None outside a checkout."""
    try:
        completed = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return completed.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the installed packages among ``PACKAGES``."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def device_name() -> str:
    """Return the name of the first GPU where torch is imported and sees one, else the name of the processor."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return str(torch.cuda.get_device_name(0))
    return f"cpu ({platform.processor() or platform.machine()})"
