"""Decide which results may be compared: those with the same images, labels, texts and splits, whatever their names."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import count

from vise_core.specs.base import Record
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData

Parts = tuple[str, str, str]
Sizes = tuple[int, int, int]
PARTS = ("train", "val", "test")
SHORTEST = 4
"""Least number of a digest's hex digits in labels; labels use more where these are not distinct."""


class MeasuredOn(Record):
    """The data and splits of a result.

    Attributes
    ----------
    parts, sizes: digests and numbers of images of train, val and test, one triple a split.
    """

    data: EvaluationData
    classes: tuple[str, ...]
    parts: tuple[Parts, ...]
    sizes: tuple[Sizes, ...]

    @property
    def key(self) -> str:
        """Return the key that results of one column share."""
        return data_key(self.data)


def data_key(data: EvaluationData) -> str:
    """Return a SHA-256 that is equal for equal images, labels, texts and splits."""
    digests = (data.labels_digest, data.texts_digest, data.splits_digest)
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def measured_on(result: EvaluateResult) -> MeasuredOn:
    """Return the data and splits that a result was measured on."""
    return MeasuredOn(
        data=result.data,
        classes=result.classes,
        parts=tuple(split.parts for split in result.splits),
        sizes=tuple(split.sizes for split in result.splits),
    )


def data_difference(a: MeasuredOn, b: MeasuredOn) -> str:
    """Describe how the data of ``a`` differ from those of ``b``; empty where they are the same.

    Texts differ only where both evaluations read them.
    """
    if a.data.images_digest != b.data.images_digest:
        same = a.data.images == b.data.images
        return f"other images ({a.data.images} {'each' if same else f'instead of {b.data.images}'})"
    if a.data.labels_digest != b.data.labels_digest:
        if a.classes != b.classes:
            return "the same images with other classes"
        return "the same images with other labels"
    if a.data.texts_digest and b.data.texts_digest and a.data.texts_digest != b.data.texts_digest:
        return "the same images and labels with other texts"
    return ""


def split_differences(a: MeasuredOn, b: MeasuredOn) -> list[str]:
    """Describe the splits that differ, such as ``splits 0 and 2: train and test images differ``; empty for none.

    Splits that differ in the same way share an item.
    """
    if len(a.sizes) != len(b.sizes):
        return [f"{len(a.sizes)} splits instead of {len(b.sizes)}"]
    splits_of: dict[str, list[int]] = {}
    for number, (mine, other) in enumerate(zip(a.parts, b.parts, strict=True)):
        differ = [i for i in range(3) if mine[i] != other[i]]
        if differ:
            words = [_part(i, a.sizes[number][i], b.sizes[number][i]) for i in differ]
            splits_of.setdefault(f"{_listed(words)} images differ", []).append(number)
    return [f"{_numbered(numbers)}: {difference}" for difference, numbers in splits_of.items()]


def same_data_and_splits(a: MeasuredOn, b: MeasuredOn) -> bool:
    """Return whether the scores of ``a`` and ``b`` may be compared."""
    return not data_difference(a, b) and not split_differences(a, b)


def labels(variants: Sequence[MeasuredOn]) -> dict[str, str]:
    """Return {key: label} of the variants of one task, such as ``data 3f2a, splits 91bc``.

    A label is empty where nothing needs to be distinguished. Its digits come from the digests, so that it does not
    depend on the other results of a table.
    """
    distinct = list({variant.key: variant for variant in variants}.values())
    data = {variant.data.labels_digest for variant in distinct}
    by_key: dict[str, str] = {}
    for variant in distinct:
        mine = variant.data
        same = [other.data for other in distinct if other.data.labels_digest == mine.labels_digest]
        texts = {other.texts_digest for other in same if other.texts_digest}
        splits = {other.splits_digest for other in same}
        words = [f"data {mine.labels_digest[: _digits(data)]}"] if len(data) > 1 else []
        if len(texts) > 1 and mine.texts_digest:
            words.append(f"texts {mine.texts_digest[: _digits(texts)]}")
        if len(splits) > 1:
            words.append(f"splits {mine.splits_digest[: _digits(splits)]}")
        by_key[variant.key] = ", ".join(words)
    return by_key


def titled(name: str, label: str) -> str:
    """Return a task's name with the label of its data and splits in brackets."""
    return f"{name} ({label})" if label else name


def reasons(name: str, variants: Sequence[MeasuredOn]) -> dict[str, str]:
    """Return {key: reason} for variants that are not compared with an earlier variant of the same task."""
    label = labels(variants)
    distinct = list({variant.key: variant for variant in variants}.values())
    by_key: dict[str, str] = {}
    for place, variant in enumerate(distinct):
        earlier = distinct[:place]
        others = [other for other in earlier if not same_data_and_splits(variant, other)]
        # Images alone are compared with the same images and texts, and share their label.
        comparable = any(label[variant.key] == label[other.key] for other in earlier if other not in others)
        if not others or comparable:
            continue
        # The nearest variant has the same data, or at least the same labels.
        other = min(
            others,
            key=lambda each: (
                bool(data_difference(variant, each)),
                each.data.labels_digest != variant.data.labels_digest,
            ),
        )
        difference = data_difference(variant, other)
        if not difference:
            difference = f"other splits ({'; '.join(split_differences(variant, other))})"
        by_key[variant.key] = (
            f"{titled(name, label[variant.key])}: {difference} than {titled(name, label[other.key])}; not compared "
            "with each other"
        )
    return by_key


class Variants:
    """Data and splits of each task in a table or figure: labels where a task has several, and reasons."""

    def __init__(self, measured: Iterable[tuple[str, MeasuredOn]]) -> None:
        """Take (task, data and splits of a result) in the order of the table."""
        by_task: dict[str, dict[str, MeasuredOn]] = {}
        for task, variant in measured:
            by_task.setdefault(task, {}).setdefault(variant.key, variant)
        self._of = by_task
        self._labels = {task: labels(list(of.values())) for task, of in by_task.items()}
        self._reasons = {task: reasons(task, list(of.values())) for task, of in by_task.items()}

    def keys(self, task: str) -> list[str]:
        """Return the keys of a task's variants, in order of first appearance."""
        return list(self._of.get(task, ()))

    def measured(self, task: str, key: str) -> MeasuredOn:
        """Return the data and splits of a variant."""
        return self._of[task][key]

    def label(self, task: str, key: str) -> str:
        """Return the label of a variant; empty where a task has one variant only."""
        return self._labels.get(task, {}).get(key, "")

    def title(self, task: str, key: str) -> str:
        """Return the task's name, with a label where it has several variants."""
        return titled(task, self.label(task, key))

    def reason(self, task: str, key: str) -> str:
        """Return why a variant is not compared with an earlier one of the task; empty where it is."""
        return self._reasons.get(task, {}).get(key, "")

    def reasons(self, task: str) -> list[str]:
        """Return the distinct reasons of a task's variants."""
        return list(dict.fromkeys(self._reasons.get(task, {}).values()))

    @property
    def tasks(self) -> list[str]:
        """The tasks, in order of first appearance."""
        return list(self._of)


def _digits(digests: Iterable[str]) -> int:
    distinct = set(digests)
    return next(n for n in count(SHORTEST) if len({digest[:n] for digest in distinct}) == len(distinct))


def _part(part: int, mine: int, other: int) -> str:
    return PARTS[part] if mine == other else f"{PARTS[part]} ({mine} instead of {other})"


def _numbered(numbers: Sequence[int]) -> str:
    """Return ``split 3``, ``splits 0 and 2`` or ``splits 0 to 4``."""
    if len(numbers) == 1:
        return f"split {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"splits {numbers[0]} to {numbers[-1]}"
    return f"splits {_listed([str(number) for number in numbers])}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
