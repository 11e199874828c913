"""The cheap checks, which every evaluation runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vise_core.reporter import Reporter
from vise_core.specs.integrity import CheckName, IntegrityCheck, IntegrityLimits, IntegrityReport
from vise_core.tasks import LabelledImages, Split

from .balance import label_balance
from .cache import files_fingerprints
from .fingerprints import Fingerprints
from .overlap import (
    comparisons,
    duplicates_across,
    identical_links,
    links_of,
    split_near_duplicates,
    split_overlap,
)

MAX_COMPARISONS = 10**10
"""Most pairs of hashes that an evaluation compares, about a minute and a half on one core."""
EXAMPLES = 20


def check_evaluation(
    images: LabelledImages,
    splits: Sequence[Split],
    digests: Sequence[bytes],
    *,
    limits: IntegrityLimits | None = None,
    cache: Path | None = None,
) -> IntegrityReport:
    """Check the balance of labels, and the images that parts of a split share, as the same file or as a copy.

    Checks that need the pretraining posts are ``not_run``, and so is the search for copies if the task is too large.

    Parameters
    ----------
    cache: folder of cached fingerprints (``cache.default_cache()``), None for no cache.
    digests: SHA-256 of the images' files.
    """
    limits = limits or IntegrityLimits()
    not_read = "An evaluation does not read the pretraining posts: run the stage integrity with them."
    return IntegrityReport(
        checks=(
            label_balance(images, splits, limits, EXAMPLES),
            *_overlap(images, splits, limits, cache, digests),
            *(
                not_run(name, not_read)
                for name in ("pretraining_overlap", "cluster_leak", "pretraining_balance")
            ),
        )
    )


def _overlap(
    images: LabelledImages,
    splits: Sequence[Split],
    limits: IntegrityLimits,
    cache: Path | None,
    digests: Sequence[bytes],
) -> tuple[IntegrityCheck, IntegrityCheck]:
    """Return ``split_overlap`` and ``split_near_duplicates``; the second is ``not_run`` if the task is too large."""
    if comparisons(len(images), splits) > MAX_COMPARISONS:
        return (
            split_overlap(images, splits, identical_links(digests), limits, EXAMPLES),
            not_run(
                "split_near_duplicates",
                f"An evaluation does not search {len(images)} images for copies: run the stage integrity once.",
            ),
        )
    prints = files_fingerprints(images.paths, cache, digests=digests)
    return perceptual_overlap(images, splits, prints, limits, EXAMPLES, threads=1)


def perceptual_overlap(
    images: LabelledImages,
    splits: Sequence[Split],
    prints: Fingerprints,
    limits: IntegrityLimits,
    examples: int,
    *,
    threads: int,
) -> tuple[IntegrityCheck, IntegrityCheck]:
    """Return ``split_overlap`` and ``split_near_duplicates`` from the fingerprints of the task's images."""
    matches = duplicates_across(prints, splits, threads=threads)
    same_files = identical_links(prints.keys())
    counts = {
        "looked_at": float(matches.verified),
        "crowded": float(matches.crowded),
        "unreadable": float((~prints.readable).sum()),
        "even": float((prints.readable & ~prints.comparable).sum()),
    }
    return (
        split_overlap(images, splits, same_files, limits, examples),
        split_near_duplicates(images, splits, links_of(matches) | same_files, limits, examples, counts),
    )


def not_run(name: CheckName, why: str) -> IntegrityCheck:
    """Return a check that did not run, with the reason."""
    return IntegrityCheck(name=name, verdict="not_run", sentence=why)


def log_checks(report: IntegrityReport, reporter: Reporter) -> None:
    """Write one line to the run's log for each check that ran."""
    levels = {"failed": "error", "warning": "warning", "ok": "info"}
    for check in report.checks:
        if check.verdict in levels:
            reporter.log(f"{check.title}: {check.verdict}. {check.sentence}", level=levels[check.verdict])
