"""Digests that identify a task's data and splits by their contents, independent of file names."""

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
    """Return the identity of the data and splits; ``digests`` are the n images' SHA-256, in the task's order.

    ``texts``: the evaluation reads the sentences too, so that they are part of the identity.
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
    """Return SHA-256 of the sorted image digests of train, val and test; empty for a part without images.

    Labels are not included; they are part of the data's identity, so that a message can say which of both differs.
    """
    train, val, test = (
        _sorted_sha256(digests[i] for i in part.tolist()) if len(part) else "" for part in split
    )
    return train, val, test


def _sorted_sha256(items: Iterable[bytes], before: bytes = b"") -> str:
    return hashlib.sha256(before + b"".join(sorted(items))).hexdigest()
