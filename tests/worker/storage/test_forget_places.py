"""Each place that may hold a post is named by the proof while it does, and is clean after the post was removed."""

import hashlib
import json
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.store.errors import Conflict
from backend.store.registry import artifacts
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Run
from backend.store.serving.tables import Feedback
from backend.store.upkeep import forget, sweep
from tests.worker.storage.lab import GONE, IMAGE, Lab

DAMAGED = b"\x1f\x8b\x08" + b"damaged"


class Places:
    """The lab with a post in further places: place → what the proof says of it."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.place = lab, lab.place
        self.held, self.damaged = self._object(GONE.encode()), self._object(DAMAGED + b"1")
        self.state = self._state()
        self.named = lab.run("fetch", "data", self._folder("images", f"{GONE}.png", b"a picture"))
        self.unsearched = lab.run("fetch", "data", self._folder("files", "a.gz", DAMAGED + b"2"))
        raw = lab.data_root / "raw"
        (raw / "text.txt").write_text(f"of {GONE} and others")
        (raw / f"{GONE}.jpg").write_bytes(b"a picture")
        (raw / "damaged.gz").write_bytes(DAMAGED)
        outside = lab.folder / "outside.txt"
        outside.write_text(GONE)
        (raw / "link.txt").symlink_to(outside)
        with lab.place.sessions.begin() as db:
            db.get_one(Run, lab.other).notes = f"about {GONE}"
            # Of a prediction that is gone: it is found by the digest of its image.
            label = {"task": "t", "label": "a", "predicted": "a", "model": "m", "picture": b"x"}
            db.add(Feedback(sha256=hashlib.sha256(IMAGE).hexdigest(), synthetic=True, **label))

    def _folder(self, name: str, file: str, content: bytes) -> Path:
        folder = self.lab.folder / name
        folder.mkdir()
        (folder / file).write_bytes(content)
        return folder

    def _object(self, content: bytes) -> str:
        """An object that no row names."""
        file = self.lab.folder / hashlib.sha256(content).hexdigest()
        file.write_bytes(content)
        return artifacts.upload(self.place.storage, file)[1]

    def _state(self) -> UUID:
        run_id, reporter = self.place.held()
        reporter.checkpoint(self._folder("state", "seen.json", json.dumps([GONE]).encode()))
        reporter.close()
        self.place.change(run_id, state="failed", lease_until=None)
        return run_id

    def left(self) -> set[str]:
        place = self.place
        return set(forget.remaining(place.sessions, place.storage, self.lab.data_root, [GONE]))


@pytest.fixture
def places(lab: Lab) -> Places:
    return Places(lab)


def of_folder(places: Places) -> set[str]:
    raw = {line for line in places.left() if " of the data set 'raw'" in line}
    assert {line.partition(" of the data set")[0] for line in raw} == {
        *("raw/text.txt", f"raw/{GONE}.jpg", "raw/damaged.gz"),
    }
    return raw


def starting(lines: set[str], *starts: str) -> list[str]:
    return [start for start in starts if not any(line.startswith(start) for line in lines)]


def test_the_proof_names_each_place(places: Places) -> None:
    left = places.left() - of_folder(places)
    missing = starting(
        left,
        f"the object {places.held}",
        f"the object {places.damaged} may hold a post",
        "a.gz in the artifact data of the run 'fetch' may hold a post",
        f"saved states of the run {places.state}",
        "1 notes of runs",
        "1 results of runs",
        "1 log lines",
    )
    assert missing == [], left


@pytest.mark.parametrize("waits", [False, True], ids=["unmarked", "waits for the grace time"])
def test_each_place_is_clean_afterwards(places: Places, waits: bool) -> None:
    place, lab = places.place, places.lab
    if waits:
        sweep.mark_orphans(place.sessions, place.storage, 3600)
    findings = forget.find(place.sessions, place.storage, lab.data_root, [GONE])
    forget.forget(place.sessions, place.storage, findings, [GONE])
    left = places.left() - of_folder(places)
    assert [line for line in left if "a.gz in the artifact" not in line] == []
    with place.sessions() as db:
        assert db.scalars(select(Artifact).where(Artifact.run_id == places.named)).all() == []
        digest = hashlib.sha256(IMAGE).hexdigest()
        assert db.scalars(select(Feedback.id).where(Feedback.sha256 == digest)).all() == []


def test_an_artifact_that_another_process_rewrote_is_not_overwritten(places: Places, monkeypatch) -> None:
    place, store = places.place, artifacts.store
    findings = forget.find(place.sessions, place.storage, None, [GONE])

    def meanwhile(*arguments: object) -> None:
        store(*arguments)  # type: ignore[arg-type]
        with place.sessions.begin() as db:
            artifacts.of_run(db, places.lab.ingest, "posts").sha256 = "0" * 64

    monkeypatch.setattr(artifacts, "store", meanwhile)
    with pytest.raises(Conflict, match="rewritten the artifact meanwhile"):
        forget.forget(place.sessions, place.storage, findings, [GONE])
