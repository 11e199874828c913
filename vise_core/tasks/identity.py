"""The identity of a task's data and of its splits: digests that depend on contents, never on names or sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

from vise_core.specs.evaluation.results import EvaluationData

from .records import LabelledImages
from .splits import Split


def evaluation_data(
    images: LabelledImages, splits: Sequence[Split], digests: Sequence[bytes], *, texts: bool = False
) -> EvaluationData:
    """The identity of the data and splits; ``digests`` are the SHA-256 of the n image files, in the task's order.

    ``texts``: whether the evaluation reads the sentences too, so that they are part of the identity.
    """
    classes = json.dumps(images.classes).encode() + b"\n"
    labelled = (
        digest + int(label).to_bytes(4) for digest, label in zip(digests, images.labels.tolist(), strict=True)
    )
    read = images.texts if texts and images.texts is not None else None
    worded = (
        digest + hashlib.sha256(text.encode(errors="surrogatepass")).digest()
        for digest, text in zip(digests, read or (), strict=read is not None)
    )
    parts = [split_parts(split, digests) for split in splits]
    return EvaluationData(
        images=len(images),
        images_digest=_sorted_sha256(digests),
        labels_digest=_sorted_sha256(labelled, classes),
        texts_digest="" if read is None else _sorted_sha256(worded),
        splits_digest=hashlib.sha256(json.dumps(parts).encode()).hexdigest(),
    )


def split_parts(split: Split, digests: Sequence[bytes]) -> tuple[str, str, str]:
    """SHA-256 of the sorted digests of train, val and test; empty for a part without images.

    Labels are no part of it: they belong to the data, and a message can then say which of the two differs.
    """
    train, val, test = (
        _sorted_sha256(digests[i] for i in part.tolist()) if len(part) else "" for part in split
    )
    return train, val, test


def _sorted_sha256(items: Iterable[bytes], before: bytes = b"") -> str:
    return hashlib.sha256(before + b"".join(sorted(items))).hexdigest()
