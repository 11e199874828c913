"""Files of a saved state are placed in its folder, whatever its list says."""

import hashlib
import json
from pathlib import Path

import pytest

from backend.store.registry.storage import Storage, StorageError
from backend.store.upkeep.states import read_state


def test_a_list_whose_paths_lead_out_of_the_folder_is_damaged(tmp_path: Path) -> None:
    storage, folder = Storage(f"file://{tmp_path / 'storage'}"), tmp_path / "state"
    folder.mkdir()
    file = tmp_path / "file"

    def stored(content: bytes) -> str:
        file.write_bytes(content)
        sha256 = hashlib.sha256(content).hexdigest()
        storage.put(file, sha256)
        return sha256

    sha256 = stored(b"weights")
    read_state(storage, stored(json.dumps([{"path": "a/b", "sha256": sha256}]).encode()), folder)
    assert (folder / "a" / "b").read_bytes() == b"weights"
    for path in ("../out", str(tmp_path / "out")):
        with pytest.raises(StorageError, match="damaged"):
            read_state(storage, stored(json.dumps([{"path": path, "sha256": sha256}]).encode()), folder)
    assert not (tmp_path / "out").exists()
