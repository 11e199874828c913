"""The shape of the code: short files, small folders, no cycle of imports, every make target in its help."""

import re
import subprocess
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
LINES, FILES = 400, 20
PACKAGES = ("vise_core", "vise_client", "backend", "worker", "frontend", "benchmarks")

GENERATED = ("constraints.txt", "LICENSE")
PICTURES = (".svg", ".png")


@cache
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def lines(name: str) -> int:
    return (ROOT / name).read_bytes().count(b"\n")


def test_nothing_tracked_is_to_be_ignored() -> None:
    command = ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"]
    assert subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout == ""


def test_no_file_is_long() -> None:
    written = [name for name in tracked() if name not in GENERATED and not name.endswith(PICTURES)]
    assert [name for name in written if lines(name) > LINES] == []


def test_no_folder_is_full() -> None:
    folders = Counter(str(Path(name).parent) for name in tracked())
    assert [folder for folder, files in folders.items() if files > FILES] == []


def import_cycle(imports: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle, the first one again at the end; empty where there is no circle."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Imports inside functions count; those for the type checker alone do not."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)
    imports = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    assert sum(map(len, imports.values())) > 1000
    assert import_cycle(imports) == []


def test_a_circle_of_imports_is_found() -> None:
    assert import_cycle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert sorted(set(import_cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}))) == ["a", "b", "c"]


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE)
    assert sorted(listed) == sorted(phony.group(1).split())
