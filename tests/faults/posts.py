"""Posts of which the schedules remove some: shards, as the artifact of a run that has succeeded."""

from __future__ import annotations

import tempfile
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.store.registry import artifacts
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact
from backend.store.runs.states.lease import claim_run
from backend.store.runs.tables import Run
from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardIndex, ShardWriter, shard_name, write_index

from .cluster import Cluster

SHARDS, PER_SHARD = 4, 64


def name(number: int) -> str:
    """Return the id of a post; the numbers begin again where there are no more posts."""
    return f"post-{number % (SHARDS * PER_SHARD):04}"


def add_posts(cluster: Cluster, folder: Path) -> set[str]:
    """Store the posts; return their ids."""
    shards = folder / "posts"
    shards.mkdir()
    sizes = []
    for shard in range(SHARDS):
        writer = ShardWriter(shards / shard_name(shard))
        for number in range(shard * PER_SHARD, (shard + 1) * PER_SHARD):
            writer.write(PostRecord(Post(name(number), ("nice",)), f"image {number}".encode()))
        sizes.append(writer.close())
    write_index(shards, sizes, synthetic=True)
    manifest, sha256 = artifacts.upload(cluster.storage, shards)
    run_id = cluster.create("ingest", spec={"source": {"kind": "sample"}})
    with cluster.sessions.begin() as db:
        claim = claim_run(db, run_id, "test", 3600)
        assert claim is not None
        artifacts.record(db, run_id, claim.token, "posts", manifest, sha256, True)
        run = db.get_one(Run, run_id)
        run.state, run.lease_until, run.finished_at = "succeeded", None, func.now()
    return {name(number) for number in range(SHARDS * PER_SHARD)}


def stored(db: Session, storage: Storage) -> set[str]:
    """Return the ids of the posts that are there now."""
    row = db.scalars(select(Artifact).where(Artifact.name == "posts")).one()
    with tempfile.TemporaryDirectory() as folder:
        path = artifacts.materialise(storage, row.manifest, True, Path(folder))
        return {record.post.id for record in ShardIndex.open(path).iterate()}
