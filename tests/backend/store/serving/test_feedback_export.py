"""The export of a labelled set to a client that reads slowly or not at all."""

import hashlib
import io
import tarfile

import pytest

from backend.store.database import connect, session_factory
from backend.store.errors import NotFound
from backend.store.serving import feedback
from backend.store.serving.tables import Feedback

PICTURES = [b"first", b"second", b"third"]


def test_no_connection_is_held_between_two_pieces(database_url: str) -> None:
    engine = connect(database_url, pool_size=1)
    sessions = session_factory(engine)
    with sessions.begin() as db:
        for data in PICTURES:
            values = {"task": "t", "label": "joy", "predicted": "joy", "model": "m", "synthetic": False}
            db.add(Feedback(**values, picture=data, sha256=hashlib.sha256(data).hexdigest()))
    tar = io.BytesIO()
    held = []
    for piece in feedback.export(sessions, "t"):
        held.append(engine.pool.checkedout())  # type: ignore[attr-defined]
        tar.write(piece)
    assert set(held) == {0}
    tar.seek(0)
    with tarfile.open(fileobj=tar) as archive:
        files = [archive.extractfile(name) for name in archive.getnames() if name.endswith(".jpg")]
        assert sorted(file.read() for file in files if file is not None) == sorted(PICTURES)
    with pytest.raises(NotFound, match="no image of the task 'none' has a label yet"):
        feedback.export(sessions, "none")
    engine.dispose()
