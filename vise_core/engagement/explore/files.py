"""Write the tables of the ``explorer`` artifact: one row per cluster, with its strip of sample images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vise_core.engagement.clusterer import Clusterer
from vise_core.formats.explorer import Kind, strip_file, write_explorer_table
from vise_core.specs.explore import ExploreSpec

from .projection import Plane
from .tally import Tally
from .thumbnails import write_strip


@dataclass
class Samples:
    """Contents of the sampled posts.

    Attributes
    ----------
    ids: key → post id.
    images: key → small JPEG.
    comments: (key, cluster) → the post's first comment in that cluster, redacted.
    """

    ids: dict[str, str] = field(default_factory=dict)
    images: dict[str, bytes] = field(default_factory=dict)
    comments: dict[tuple[str, int], str] = field(default_factory=dict)


def write_comments(
    folder: Path, clusterer: Clusterer, tally: Tally, samples: Samples, plane: Plane, spec: ExploreSpec
) -> None:
    """Write ``comments.parquet``, one row per comment cluster, and the strips of their sample images."""
    shown = [
        _distinct(
            (samples.comments.get((key, cluster)) for key in tally.comment_samples.of(cluster)), spec.comments
        )
        for cluster in range(clusterer.comment_clusters)
    ]
    terms = clusterer.comment_terms(spec.terms)
    reacted = np.maximum(tally.comment_reacted, 1)[:, None]
    rows = [
        {
            "cluster": cluster,
            "size": int(tally.comment_labels[cluster]),
            "posts": int(tally.comment_posts[cluster]),
            "terms": [term for term, _ in terms[cluster]],
            "weights": [weight for _, weight in terms[cluster]],
            "comments": shown[cluster],
            "reactions": _rounded(tally.comment_shares[cluster] / reacted[cluster]),
            "x": float(plane.points[cluster, 0]),
            "y": float(plane.points[cluster, 1]),
            **_pictures(folder, "comments", cluster, tally.comment_samples.of(cluster), samples, spec),
        }
        for cluster in range(clusterer.comment_clusters)
    ]
    write_explorer_table(folder, "comments", rows)


def write_reactions(
    folder: Path, clusterer: Clusterer, tally: Tally, samples: Samples, plane: Plane, spec: ExploreSpec
) -> None:
    """Write ``reactions.parquet``, one row per reaction cluster, and the strips of their sample images."""
    assert clusterer.reaction_centroids is not None
    means = tally.reaction_shares / np.maximum(tally.reaction_posts, 1)[:, None]
    rows = [
        {
            "cluster": cluster,
            "size": int(tally.reaction_posts[cluster]),
            "reactions": _rounded(means[cluster]),
            "centroid": clusterer.reaction_centroids[cluster].tolist(),
            "x": float(plane.points[cluster, 0]),
            "y": float(plane.points[cluster, 1]),
            **_pictures(folder, "reactions", cluster, tally.reaction_samples.of(cluster), samples, spec),
        }
        for cluster in range(clusterer.reaction_clusters)
    ]
    write_explorer_table(folder, "reactions", rows)


def _rounded(values: npt.NDArray[np.float64]) -> list[float]:
    """Round sums over posts to 9 decimals, since their last digits depend on the order of shards."""
    return [round(value, 9) for value in values.tolist()]


def _pictures(
    folder: Path, kind: Kind, cluster: int, keys: list[str], samples: Samples, spec: ExploreSpec
) -> dict[str, Any]:
    chosen = keys[: spec.images]
    name = strip_file(kind, cluster)
    if not chosen:
        return {"sample_posts": [], "thumbnails": None}
    write_strip(folder / name, [samples.images[key] for key in chosen], spec.thumbnail)
    return {"sample_posts": [samples.ids[key] for key in chosen], "thumbnails": name}


def _distinct(comments: Iterator[str | None], most: int) -> list[str]:
    return list(islice(dict.fromkeys(c for c in comments if c is not None), most))
