"""What the threads of dispatcher and workers remove by themselves: all that ``vise gc`` would."""

import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from backend.store.registry import artifacts
from backend.store.registry.tables import Upload
from backend.store.serving import uploads
from backend.store.upkeep import states, workspaces
from worker.sweep import sweep_storage, sweep_workspaces


def test_the_threads_of_dispatcher_and_workers_sweep_every_kind(place) -> None:
    file = place.files("named by nothing") / "named-by-nothing"
    _, sha256 = artifacts.upload(place.storage, file)
    archive, archive_sha256 = artifacts.upload(place.storage, place.files("archive") / "archive")
    with place.sessions.begin() as db:
        db.add(Upload(name="a.zip", sha256=archive_sha256, size=archive[0]["size"]))
    states.state_storage(place.settings.storage_url, uuid4(), 1).put(file, sha256)
    key = uploads.put(place.storage, b"image")
    half, local = place.folder / "storage" / "incoming" / "half", place.settings.home / "incoming" / "half"
    old_copy = place.settings.workspaces / workspaces.COPIES / "dead"
    dead = place.settings.workspaces / f"{uuid4()}-1"
    for folder in (old_copy, dead, local.parent):
        folder.mkdir(parents=True)
    for path in (half, local):
        path.write_bytes(b"x")
    for path in (half, local, old_copy, place.folder / "storage" / "uploads" / key):
        os.utime(path, (0, 0))
    quick = {"gc_seconds": 0.05, "gc_scan_seconds": 0.01, "gc_grace_seconds": 0}
    context = replace(place.context, settings=place.settings.model_copy(update=quick))
    stop = threading.Event()
    threads = [
        threading.Thread(target=sweeps, args=(context, stop)) for sweeps in (sweep_storage, sweep_workspaces)
    ]
    for thread in threads:
        thread.start()

    until = time.monotonic() + 20
    try:
        while [*place.storage.files(""), *filter(Path.exists, (half, local, old_copy, dead))]:
            assert time.monotonic() < until, list(place.storage.files(""))
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
