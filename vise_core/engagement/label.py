"""The stage ``label``: give each post of the pretrain subset its pseudo-labels (Sec. 3.1, step 2).

Each shard is labelled independently into one Parquet file: its bytes do not depend on the order of shards or on the
engine, and shards that were finished before a stop or a crash are not labelled again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from uuid import uuid4

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from vise_core.engine import engine
from vise_core.errors import BadInput, Stopped
from vise_core.files.whole import whole_file
from vise_core.formats.labels import (
    SCHEMA,
    LabelFacts,
    label_file,
    read_label_table,
    write_label_facts,
    write_label_table,
)
from vise_core.formats.post import Post
from vise_core.formats.posts import ShardIndex
from vise_core.posts.exclusions import excluded_keys, log_exclusions
from vise_core.posts.subsets import in_cluster_subset
from vise_core.reporter import PacedCheckpoints, Reporter
from vise_core.specs.label import LabelResult, LabelSpec

from .clusterer import Clusterer

_BATCH = 2000


@dataclass(frozen=True)
class Counts:
    """Counts of a shard's posts; the sum of shards is their ``+``."""

    posts: int = 0
    with_comments: int = 0
    with_reactions: int = 0
    unlabelled: int = 0
    held_for_clusters: int = 0
    excluded: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def run(spec: LabelSpec, inputs: dict[str, Path], workspace: Path, reporter: Reporter) -> LabelResult:
    """Label all posts and publish ``labels``. A resumed run labels only the remaining shards.

    Raises BadInput if no post gets a label, Stopped.
    """
    index = ShardIndex.open(inputs["posts"])
    clusterer = Clusterer.load(inputs["clusterer"], spec.compute.device)
    state = workspace / "state"
    state.mkdir(parents=True, exist_ok=True)
    todo = [number for number in range(len(index.shards)) if not _counts_file(state, number).exists()]
    done = len(index.shards) - len(todo)
    if done:
        reporter.log(f"{done} shards are already labelled; {len(todo)} remain.")
    exclude = inputs.get("exclude")
    names = excluded_keys(exclude)
    label = partial(
        label_shard,
        inputs["posts"],
        inputs["clusterer"],
        state,
        exclude=exclude,
        device=spec.compute.device,
        run=uuid4().hex,
    )

    def stop_if_asked() -> None:
        if reporter.should_stop():
            raise Stopped(f"labelling was stopped after {done} of {len(index.shards)} shards")

    with (
        engine(spec.compute, workspace, inputs.values(), stop_if_asked) as workers,
        PacedCheckpoints(reporter, state) as saves,
    ):
        for _ in workers.finished(label, todo, lambda number: index.shards[number].name):
            done += 1
            reporter.progress(done, len(index.shards), "shards", phase="labelling")
            stop_if_asked()
            saves.save()
    counts = sum(
        (Counts(**json.loads(_counts_file(state, n).read_bytes())) for n in range(len(index.shards))),
        Counts(),
    )
    unmatched = log_exclusions(reporter, len(names), counts.excluded) if exclude is not None else 0
    if counts.posts == 0:
        raise BadInput("posts: no post got a label; cluster on more posts, or check that posts have comments")
    folder = workspace / "labels"
    folder.mkdir(exist_ok=True)
    if spec.shuffle_engagement:
        tables = [read_label_table(label_file(state, n)) for n in range(len(index.shards))]
        for number, table in enumerate(shuffle_labels(tables, spec.seed)):
            write_label_table(label_file(folder, number), table)
        reporter.log(
            "Control: labels are permuted over posts, so images and engagement no longer belong together."
        )
    else:
        for number in range(len(index.shards)):
            shutil.copyfile(label_file(state, number), label_file(folder, number))
    synthetic = index.synthetic or clusterer.synthetic
    facts = LabelFacts(
        comment_clusters=clusterer.comment_clusters,
        reaction_clusters=clusterer.reaction_clusters,
        posts=counts.posts,
        synthetic=synthetic,
        shuffled=spec.shuffle_engagement,
    )
    write_label_facts(folder, facts)
    reporter.artifact("labels", folder)
    return LabelResult(
        synthetic=synthetic,
        exclude_unmatched=unmatched,
        **{f.name: getattr(counts, f.name) for f in fields(counts)},
    )


def label_shard(
    posts: Path,
    clusterer_folder: Path,
    state: Path,
    number: int,
    *,
    exclude: Path | None = None,
    device: str = "auto",
    run: str | None = None,
) -> int:
    """Label one shard into the folder ``state`` and return its number.

    The counts file is written last and marks the shard as complete. Calls with the same ``run`` in one process share
    one loaded clusterer.
    """
    clusterer = _clusterer(clusterer_folder, device, run) if run else Clusterer.load(clusterer_folder, device)
    counts, batches = Counts(), []
    with threadpool_limits(limits=1):
        for excluded, held, batch in _batches(
            ShardIndex.open(posts), number, clusterer, excluded_keys(exclude)
        ):
            labels = clusterer.label(batch)
            rows = [
                {"post_id": post.id, "key": post.key, "comment_labels": c, "reaction_label": r}
                for post, c, r in zip(batch, labels.comments, labels.reactions, strict=True)
                if c or r is not None
            ]
            batches.append(pa.Table.from_pylist(rows, schema=SCHEMA))
            counts += Counts(
                posts=len(rows),
                with_comments=sum(bool(row["comment_labels"]) for row in rows),
                with_reactions=sum(row["reaction_label"] is not None for row in rows),
                unlabelled=len(batch) - len(rows),
                held_for_clusters=held,
                excluded=excluded,
            )
    table = pa.concat_tables(batches) if batches else SCHEMA.empty_table()
    with whole_file(label_file(state, number)) as part:
        write_label_table(part, table)
    with whole_file(_counts_file(state, number)) as part:
        part.write_text(json.dumps({f.name: getattr(counts, f.name) for f in fields(counts)}))
    return number


def shuffle_labels(tables: list[pa.Table], seed: int) -> list[pa.Table]:
    """Permute the labels of all posts, a row at a time; the posts of each table stay.

    The permutation is drawn over posts ordered by id, so that it does not depend on shards.
    """
    whole = pa.concat_tables(tables)
    by_id = np.argsort(np.array(whole["post_id"].to_pylist(), dtype=object), kind="stable")
    source = np.empty(len(by_id), dtype=np.int64)
    source[by_id] = by_id[np.random.default_rng(seed).permutation(len(by_id))]
    moved = whole.take(pa.array(source))
    shuffled = pa.table(
        [whole["post_id"], whole["key"], moved["comment_labels"], moved["reaction_label"]], schema=SCHEMA
    ).combine_chunks()
    starts = np.cumsum([0, *(len(t) for t in tables)])
    return [shuffled.slice(start, len(t)) for start, t in zip(starts[:-1].tolist(), tables, strict=True)]


def _batches(
    index: ShardIndex, number: int, clusterer: Clusterer, exclude: frozenset[str]
) -> Iterator[tuple[int, int, list[Post]]]:
    """Yield (number of excluded posts, number of posts of the cluster subset, posts to label) of each batch."""
    stream = index.iterate_posts(number)
    while batch := list(islice(stream, _BATCH)):
        allowed = [post for post in batch if not exclude or post.key not in exclude]
        free = [post for post in allowed if not in_cluster_subset(post.id, clusterer.spec.subset)]
        yield len(batch) - len(allowed), len(allowed) - len(free), free


@lru_cache(maxsize=1)
def _clusterer(folder: Path, device: str, run: str) -> Clusterer:  # noqa: ARG001 - part of the cache key
    """Load the clusterer once per process and run: a later run may find another one in the same folder."""
    return Clusterer.load(folder, device)


def _counts_file(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}.json"
