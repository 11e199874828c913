"""Explorer artifacts of the stage explore: clusters to search, page through and draw on a map."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cachetools import LRUCache
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.store.errors import Invalid, NotFound
from backend.store.registry.storage import Storage
from backend.store.registry.tables import Artifact
from backend.store.runs.tables import Run
from vise_client.schemas.clusters import (
    ClusterDetail,
    ClusterKind,
    ClusterPage,
    ClusterPair,
    ClusterPoints,
    ClusterRow,
    ExplorerView,
)
from vise_client.schemas.run_states import RunState

if TYPE_CHECKING:
    from vise_core.formats.explorer import ExplorerSummary

ARTIFACT = "explorer"
TITLE_TERMS = 4
CACHED = 4
"""Number of explorers kept in memory."""

_cache: LRUCache[str, Explorer] = LRUCache(CACHED)
_lock = Lock()


@dataclass(frozen=True)
class Explorer:
    """An explorer artifact in memory, immutable; 5,000 clusters take about 20 MB.

    Attributes
    ----------
    summary: explorer.json.
    tables: kind → rows of its Parquet file; row i is cluster i.
    pictures: path of a thumbnail strip in the artifact → SHA-256.
    """

    summary: ExplorerSummary
    tables: Mapping[ClusterKind, list[dict[str, Any]]]
    pictures: dict[str, str]

    @cached_property
    def texts(self) -> dict[ClusterKind, list[str]]:
        """Searched text of each cluster: terms and sample comments, case-folded."""
        return {
            kind: [" ".join([*row.get("terms", ()), *row.get("comments", ())]).casefold() for row in rows]
            for kind, rows in self.tables.items()
        }

    @cached_property
    def totals(self) -> dict[ClusterKind, int]:
        """Sum of the cluster sizes of each kind."""
        return {kind: sum(row["size"] for row in rows) for kind, rows in self.tables.items()}


def list_explorers(db: Session, *, limit: int = 20) -> list[UUID]:
    """Return the artifact ids of succeeded explore runs, newest first."""
    rows = db.scalars(
        select(Artifact.id)
        .join(Run, Run.id == Artifact.run_id)
        .where(Run.stage == "explore", Run.state == RunState.succeeded.value, Artifact.name == ARTIFACT)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    return list(rows)


def load(db: Session, storage: Storage, artifact_id: UUID) -> Explorer:
    """Return an explorer, cached by its digest. Raises NotFound if no artifact of this id is an explorer.

    Ends the session's transaction: no connection is kept while the storage is read.
    """
    artifact = db.get(Artifact, artifact_id)
    if artifact is None or artifact.name != ARTIFACT:
        raise NotFound(f"there is no explorer {artifact_id}")
    with _lock:
        cached = set(_cache)
    stored = set(db.scalars(select(Artifact.sha256).where(Artifact.sha256.in_(cached))))
    sha256, digests = artifact.sha256, {row["path"]: row["sha256"] for row in artifact.manifest}
    db.close()
    with _lock:
        # What was removed, or written again without removed posts, does not stay in memory.
        for removed in cached - stored:
            _cache.pop(removed, None)
        if sha256 not in _cache:
            _cache[sha256] = _parse(storage, digests, f"explorer {artifact_id}")
        return _cache[sha256]


def view(db: Session, storage: Storage, artifact_id: UUID) -> ExplorerView:
    """Return an explorer's summary: how labels spread over clusters, and how the two kinds agree.

    Raises NotFound if no artifact of this id is an explorer.
    """
    summary = load(db, storage, artifact_id).summary
    artifact = db.get_one(Artifact, artifact_id)
    run = db.get_one(Run, artifact.run_id)
    return ExplorerView.of(
        summary,
        artifact_id=artifact.id,
        run_id=run.id,
        name=run.name,
        with_labels=summary.labels,
        clusterer_run_id=run.inputs.get("clusterer", {}).get("run"),
        reaction_names=list(summary.reaction_names),
        created_at=artifact.created_at,
    )


def page(
    explorer: Explorer,
    storage: Storage,
    kind: ClusterKind,
    *,
    search: str = "",
    sort: str | None = None,
    offset: int = 0,
    limit: int = 20,
) -> ClusterPage:
    """Return a page of clusters with thumbnails. Raises NotFound for a missing kind, Invalid for an unknown sort."""
    clusters = order(explorer, kind, search=search, sort=sort)
    rows = [_row(explorer, storage, kind, cluster) for cluster in clusters[offset : offset + limit]]
    return ClusterPage(items=rows, total=len(clusters))


def order(explorer: Explorer, kind: ClusterKind, *, search: str = "", sort: str | None = None) -> list[int]:
    """Return the clusters that contain every word of the search, sorted.

    By default, the largest first; with a search, those whose terms weigh most. Raises NotFound if the explorer has no
    clusters of this kind, and Invalid for an unknown sort key.
    """
    rows = _rows(explorer, kind)
    words = search.casefold().split()
    texts = explorer.texts[kind]
    clusters = [c for c in range(len(rows)) if all(word in texts[c] for word in words)]
    if sort is None:
        return sorted(clusters, key=lambda c: (-_relevance(rows[c], words), -rows[c]["size"], c))
    descending, field = sort.startswith("-"), sort.removeprefix("-")
    names = explorer.summary.reaction_names
    if field not in ("size", "cluster", *names):
        raise Invalid("sort", f"must be size, cluster, {', '.join(names)}, with - in front for descending")

    def key(cluster: int) -> float:
        row = rows[cluster]
        return float(row["reactions"][names.index(field)] if field in names else row[field])

    return sorted(clusters, key=key, reverse=descending)


def detail(explorer: Explorer, storage: Storage, kind: ClusterKind, cluster: int) -> ClusterDetail:
    """Return one cluster with its pairs of the other kind. Raises NotFound if there is no such cluster."""
    if cluster >= len(_rows(explorer, kind)):
        raise NotFound(
            f"there is no cluster {cluster} of {kind}; the last is {len(explorer.tables[kind]) - 1}"
        )
    pairs = [
        ClusterPair(
            cluster=pair.second if kind == "comments" else pair.first, count=pair.weight, lift=pair.lift
        )
        for pair in explorer.summary.pairs
        if cluster == (pair.first if kind == "comments" else pair.second)
    ]
    return ClusterDetail(**_row(explorer, storage, kind, cluster).model_dump(), kind=kind, pairs=pairs)


def points(explorer: Explorer, kind: ClusterKind, *, search: str = "") -> ClusterPoints:
    """Return the map of the matching clusters, ordered by cluster number.

    Raises NotFound if the explorer has no clusters of this kind.
    """
    clusters = sorted(order(explorer, kind, search=search))
    rows = [explorer.tables[kind][cluster] for cluster in clusters]
    return ClusterPoints(
        clusters=clusters,
        x=[row["x"] for row in rows],
        y=[row["y"] for row in rows],
        sizes=[row["size"] for row in rows],
        titles=[_title(row, explorer.summary.reaction_names) for row in rows],
    )


def _parse(storage: Storage, digests: dict[str, str], name: str) -> Explorer:
    # Imports pyarrow, which slows the start of the API.
    from vise_core.formats.explorer import parse_explorer

    contents = parse_explorer(lambda path: b"".join(storage.stream(digests[path])), digests, name)
    return Explorer(contents.summary, contents.tables, digests)


def _rows(explorer: Explorer, kind: ClusterKind) -> list[dict[str, Any]]:
    if kind not in explorer.tables:
        raise NotFound(f"this clusterer has no clusters of {kind}")
    return explorer.tables[kind]


def _row(explorer: Explorer, storage: Storage, kind: ClusterKind, cluster: int) -> ClusterRow:
    row = explorer.tables[kind][cluster]
    strip = row["thumbnails"]
    picture = b"".join(storage.stream(explorer.pictures[strip])) if strip else b""
    return ClusterRow(
        cluster=cluster,
        size=row["size"],
        share=row["size"] / max(1, explorer.totals[kind]),
        posts=row.get("posts", row["size"]),
        terms=list(zip(row.get("terms", ()), row.get("weights", ()), strict=True)),
        comments=row.get("comments", []),
        reactions=dict(zip(explorer.summary.reaction_names, row["reactions"], strict=True)),
        sample_posts=row["sample_posts"],
        thumbnails_jpg=base64.b64encode(picture).decode() if picture else None,
    )


def _relevance(row: dict[str, Any], words: list[str]) -> float:
    """Return the sum of the weights of the cluster's terms that contain a searched word."""
    if not words:
        return 0.0
    weights = zip(row.get("terms", ()), row.get("weights", ()), strict=True)
    return float(sum(weight for term, weight in weights if any(word in term.casefold() for word in words)))


def _title(row: dict[str, Any], names: Sequence[str]) -> str:
    if row.get("terms"):
        return " ".join(row["terms"][:TITLE_TERMS])
    share, name = max(zip(row["reactions"], names, strict=True))
    return f"{name} {share:.0%}" if share else "nobody"
