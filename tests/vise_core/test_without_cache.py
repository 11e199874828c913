"""An account that can write neither the package nor a home: everything runs, with one warning."""

import ast
import ctypes
import importlib
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.caching import CacheImpl

import vise_core
from vise_core.files import cache_folder
from vise_core.files.cache_folder import cache_or_temporary, cache_subfolder
from vise_core.files.download import Progress
from vise_core.kernels import _Implementation
from vise_core.models import weights

PACKAGE = Path(vise_core.__file__).parent
OUR_PLACES = [each for each in _Implementation._locator_classes if each not in CacheImpl._locator_classes]
"""Where kernels look for machine code beside Numba's own places."""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1

STAGES = """
import importlib, sys
from pathlib import Path

from vise_core.reporter import LocalReporter
from vise_core.specs.stages import validate_spec
from vise_core.stage import run_stage

work, *modules = sys.argv[1:]
for module in modules:
    importlib.import_module(module)
work = Path(work)
reporter = LocalReporter(work / "artifacts")
sample = {"kind": "sample", "posts": 60, "evaluation_images": 60, "image_size": 32}
kmeans = {"kmeans": {"k": 3}}
for stage, spec, roles in (
    ("ingest", {"source": sample, "posts_per_shard": 30}, {}),
    ("cluster", {"subset": {"cluster_fraction": 0.4}, "comments": kmeans, "reactions": kmeans}, {"posts": "posts"}),
    (
        "evaluate",
        {
            "task": {"kind": "folder"},
            "weights": {"kind": "random", "backbone": "resnet18"},
            "image_size": 32,
            "epochs": 2,
            "milestones": [1],
            "splits": {"count": 2},
            "base_lrs": [0.1],
            "weight_decays": [0.001],
        },
        {"dataset": "evaluation_set"},
    ),
):
    inputs = {role: reporter.artifacts[name] for role, name in roles.items()}
    run_stage(stage, validate_spec(stage, spec), inputs, work / stage, reporter)
    print(stage)
"""


def modules_with_kernels() -> dict[str, str]:
    """{module: source} of those that compile with Numba, our decorator's own module excepted."""
    sources = {path: path.read_text() for path in PACKAGE.rglob("*.py")}
    return {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): source
        for path, source in sources.items()
        if re.search(r"\bnjit\b|@kernel\b|\bnumba\.jit\b", source) and path != PACKAGE / "kernels.py"
    }


@pytest.fixture(autouse=True)
def not_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_folder, "_warned", False)


def obey_permissions() -> None:
    """Take from root what lets it write everywhere; the interpreter may lie where no other account reads."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def test_all_kernels_are_compiled_by_our_decorator() -> None:
    sources = modules_with_kernels()
    assert len(sources) >= 3
    for module, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call):
                cached = [keyword.arg for keyword in node.keywords if keyword.arg == "cache"]
                assert not (cached and ast.unparse(node.func) in ("njit", "jit", "kernel", "vectorize")), (
                    module
                )
        assert "njit" not in source, module


def test_clustering_and_evaluation_run_where_nothing_can_be_cached(tmp_path: Path) -> None:
    code, home, work = tmp_path / "code", tmp_path / "home", tmp_path / "work"
    shutil.copytree(PACKAGE, code / "vise_core", ignore=shutil.ignore_patterns("__pycache__"))
    home.mkdir()
    work.mkdir()
    closed = [home, code, *(place for place in code.rglob("*") if place.is_dir())]
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("VISE_", "XDG_"))}
    environment |= {"HOME": str(home), "PYTHONPATH": str(code), "TMPDIR": str(work)}
    # Fast to compile, as nothing here takes long to run.
    environment |= {"NUMBA_OPT": "0", "OMP_NUM_THREADS": "1"}
    for folder in closed:
        folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", STAGES, str(work), *modules_with_kernels()],
            cwd=work,
            env=environment,
            preexec_fn=obey_permissions,
            capture_output=True,
            text=True,
            timeout=300,
        )
    finally:
        for folder in closed:
            folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ingest", "cluster", "evaluate"]
    (warning,) = done.stderr.splitlines()
    assert str(home) in warning
    assert "Set VISE_CACHE" in warning


MODULE = """
from vise_core.kernels import kernel

@kernel(nogil=True)
def twice(x):
    return 2 * x
"""


@pytest.fixture
def twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Imports again a module with one kernel; Numba itself finds no place for machine code."""
    monkeypatch.setattr("numba.core.caching.CacheImpl._locator_classes", [])
    monkeypatch.setattr("vise_core.kernels._Implementation._locator_classes", [])
    (tmp_path / "module_with_kernel.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)

    def load():
        sys.modules.pop("module_with_kernel", None)
        return importlib.import_module("module_with_kernel").twice

    yield load
    sys.modules.pop("module_with_kernel", None)


def test_machine_code_goes_to_our_cache_folder_if_numba_has_no_place(
    twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vise_core.kernels._Implementation._locator_classes", OUR_PLACES)
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))
    assert twice()(21) == 42
    (machine_code,) = (tmp_path / "cache" / "kernels").rglob("*.nbc")
    again = twice()
    assert again(21) == 42
    assert sum(again.stats.cache_hits.values()) == 1
    machine_code.write_bytes(machine_code.read_bytes()[:100])
    damaged = twice()
    assert damaged(21) == 42
    assert sum(damaged.stats.cache_hits.values()) == 0


def test_a_full_disk_costs_a_compilation(
    twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vise_core.kernels._Implementation._locator_classes", OUR_PLACES)
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("numba.core.caching.IndexDataCacheFile.save", full)
    assert twice()(21) == 42
    assert "No space left" in caplog.text


def test_without_any_cache_a_kernel_is_compiled(
    twice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "file" / "cache"))
    assert twice()(np.float32(1.5)) == 3.0


def test_the_warning_comes_once_and_files_go_to_a_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "file" / "cache"))
    with caplog.at_level(logging.WARNING):
        assert cache_subfolder("features") is None
        assert cache_subfolder("fingerprints") is None
        folder = cache_or_temporary("weights")
    (folder / "a file").write_bytes(b"1")
    assert cache_or_temporary("weights") == folder
    assert [record.message for record in caplog.records if "Set VISE_CACHE" in record.message] == [
        record.message for record in caplog.records
    ]
    assert len(caplog.records) == 1


def test_weights_are_downloaded_even_without_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is in the cache already is used where it lies, else it goes to the temporary folder."""
    asked: list[Path] = []

    def download(url: str, target: Path, *, sha256: str, progress: Progress | None, advice: str) -> None:
        asked.append(target)
        assert "$VISE_CACHE/weights" in advice

    monkeypatch.setattr(weights, "download", download)
    name, backbone = next(
        key for key, entry in weights.WEIGHTS.items() if isinstance(entry.source, weights.Url)
    )
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "file" / "cache"))
    path = weights.fetch(name, backbone)
    assert asked == [path]
    assert not path.is_relative_to(tmp_path)

    entry = weights.find(name, backbone)
    monkeypatch.setenv("VISE_CACHE", str(tmp_path / "cache"))
    stored = tmp_path / "cache" / "weights" / path.name
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"weights")
    monkeypatch.setattr(weights, "file_sha256", lambda _: entry.sha256)
    assert weights.fetch(name, backbone) == stored
    assert asked == [path]
