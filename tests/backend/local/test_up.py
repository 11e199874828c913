"""``vise up`` and the shell commands beside it: what is there before Ctrl-C is there after the next start."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import skimage.data

from vise_client.client import ViseClient
from vise_client.errors import ClientError
from vise_client.schemas.run_states import RunState

TINY_RECIPE = """
title: Two features on a tiny set
synthetic: true
steps:
  posts:
    stage: ingest
    spec: {source: {kind: sample, posts: 60, evaluation_images: 60}}
  random:
    stage: evaluate
    spec:
      method: Random Init
      weights: {kind: random, backbone: resnet18}
      augment: false
      image_size: 32
      epochs: 3
      milestones: [2]
      splits: {count: 2}
    inputs: {dataset: {step: posts, artifact: evaluation_set}}
register_best: {among: [random], name: tiny}
"""


class Shell:
    """The ``vise`` command against one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = {k: v for k, v in os.environ.items() if k not in ("VISE_TOKEN", "VISE_API_URL")}
        self.environment |= {"VISE_HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")}

    def __call__(self, *arguments: str, rc: int = 0) -> str:
        command = [str(Path(sys.executable).with_name("vise")), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=240)
        assert done.returncode == rc, done.stdout + done.stderr
        return done.stdout if rc == 0 else done.stderr

    def states(self) -> dict[str, RunState]:
        """Run id → state, of every run that ``vise runs`` lists. Its labels also say why a run is not starting yet."""
        listed = re.findall(r"^\s*([0-9a-f-]{36})\s", self("runs", "--all"), re.MULTILINE)
        with self.client() as client:
            return {run_id: client.run(run_id).state for run_id in listed}

    def client(self) -> ViseClient:
        return ViseClient(**json.loads((self.home / "local.json").read_text()))

    def wait(self, run_id: str, state: RunState, seconds: float) -> None:
        """Ask the API, also while it cannot answer: a command would take a second of a core each time."""
        with self.client() as client:
            until = time.monotonic() + seconds
            while True:
                try:
                    if (now := client.run(run_id).state) is state:
                        return
                except ClientError as error:
                    now = error
                assert time.monotonic() < until, now
                time.sleep(0.2)


def processes_of(home: Path) -> list[str]:
    """Commands that are still alive and were started for this home."""
    alive = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("VISE_HOME") == str(home):
                alive.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return alive


def test_a_second_start_after_ctrl_c_has_every_run_and_model_and_goes_on_with_the_rest(
    start_stack, home: Path, tmp_path: Path
) -> None:
    vise = Shell(home)
    assert "no server is set" in vise("runs", rc=1)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(TINY_RECIPE)
    photograph = Path(skimage.data.__file__).parent / "chelsea.png"

    with start_stack(home):
        out = vise("run", "tiny", "--spec", str(recipe), "--follow")
        assert "succeeded" in out.splitlines()[-1]
        assert "tiny" in vise("models")
        answer = vise("predict", str(photograph))
        # Long enough that Ctrl-C comes in its midst: it goes on after the next start.
        long = vise(
            "run", "ingest", "--set", "source.kind=sample", "--set", "source.posts=2500", "--name", "long"
        ).split()[0]
        vise.wait(long, RunState.running, 60)
        before = vise.states()
    assert not [c for c in processes_of(home) if "vise" in c or "worker" in c or "celery" in c]

    with start_stack(home):
        after = vise.states()
        assert after.keys() == before.keys()
        assert {r: s for r, s in after.items() if r != long} == {r: s for r, s in before.items() if r != long}
        assert "tiny" in vise("models")
        assert vise("predict", str(photograph)) == answer, "the same model, the same probabilities"
        assert answer.count("%") == 6
        vise.wait(long, RunState.succeeded, 120)
        assert "Random Init" in vise("report")
        assert "progress" in vise("show", long)
        assert vise("logs", long)


@pytest.fixture(scope="module")
def vise(start_stack: Callable) -> Iterator[Shell]:
    """Commands to a running stack, one for the tests that leave it running."""
    folder = Path(tempfile.mkdtemp(prefix="vise-test-"))
    with start_stack(folder):
        yield Shell(folder)
    shutil.rmtree(folder, ignore_errors=True)


def test_wrong_use_is_told_in_a_sentence(vise: Shell) -> None:
    assert "epochs" in vise("run", "pretrain", "--local", "--set", "epochs=0", rc=1)
    assert "is running already" in vise("up", "--no-browser", rc=1)
    assert "no run" in vise("show", "00000000-0000-0000-0000-000000000000", rc=1).lower()
    assert "'catalogue'" in vise("run", "evaluate", "--set", "weights.kind=none", rc=1)
    refused = vise("run", "ingest", "--set", "source.kind=sample", "--set", "source.posts=-1", rc=1)
    assert "source" in refused
    assert "posts" in refused


def test_servers_that_die_are_started_again_and_runs_go_on(vise: Shell) -> None:
    long = vise("run", "ingest", "--set", "source.kind=sample", "--set", "source.posts=2500").split()[0]
    vise.wait(long, RunState.running, 60)
    # Without it PostgreSQL cannot start, which ends nothing else.
    control = vise.home / "postgres" / "data" / "global" / "pg_control"
    control.rename(vise.home / "aside")
    for pid_file in ("postgres/data/postmaster.pid", "valkey/valkey.pid"):
        os.kill(int((vise.home / pid_file).read_text().split()[0]), signal.SIGKILL)
    until = time.monotonic() + 60
    for sentence in ("Valkey ended", "PostgreSQL could not be started"):
        while sentence not in (vise.home / "up.log").read_text():
            assert time.monotonic() < until
            time.sleep(0.2)
    (vise.home / "aside").rename(control)
    vise.wait(long, RunState.succeeded, 180)
    again = vise("run", "ingest", "--set", "source.kind=sample", "--set", "source.posts=20").split()[0]
    vise.wait(again, RunState.succeeded, 60)
    assert {long, again} <= vise.states().keys()
