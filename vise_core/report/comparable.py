"""Which results may be compared: only those of the same images, labels, texts and splits, whatever they are called."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import count

from vise_core.specs.base import Record
from vise_core.specs.evaluate import EvaluateResult
from vise_core.specs.evaluation.results import EvaluationData

Parts = tuple[str, str, str]
Sizes = tuple[int, int, int]
PARTS = ("train", "val", "test")
NOT_RECORDED = (
    "data and splits not recorded (evaluated by an older version): shown, not compared; evaluate again"
)
SHORTEST = 4
"""Digits of a digest in labels; more where that many are not distinct."""


class MeasuredOn(Record):
    """The data and splits of a result.

    Attributes
    ----------
    data: their digests; None where an older version did not record them.
    parts, sizes: of train, val and test, one triple a split.
    folder: SHA-256 of the input folder with all its files, from the result's provenance; empty where unknown.
    """

    data: EvaluationData | None
    classes: tuple[str, ...]
    parts: tuple[Parts | None, ...]
    sizes: tuple[Sizes, ...]
    folder: str = ""

    @property
    def recorded(self) -> bool:
        return self.data is not None

    @cached_property
    def key(self) -> str:
        """Equal for results that share a column. Hex, or ``?`` and hex where data and splits were not recorded.

        What was not recorded is told apart by the input folder's content and the sizes of the splits; that is not
        enough to compare numbers, and never equals the key of a recorded identity.
        """
        if self.data is None:
            return "?" + _sha256(self.folder, repr(self.sizes))
        return _sha256(self.data.labels_digest, self.data.texts_digest, self.data.splits_digest)

    @property
    def data_digest(self) -> str:
        """Identity of images and labels; empty where it was not recorded."""
        return "" if self.data is None else self.data.labels_digest

    @property
    def texts_digest(self) -> str:
        """Identity of the texts; empty where none were read."""
        return "" if self.data is None else self.data.texts_digest

    @property
    def splits_digest(self) -> str:
        return "" if self.data is None else self.data.splits_digest


def measured_on(result: EvaluateResult) -> MeasuredOn:
    """What the result was measured on."""
    inputs = result.provenance.inputs if result.provenance is not None else {}
    return MeasuredOn(
        data=result.data,
        classes=result.classes,
        parts=tuple(split.parts for split in result.splits),
        sizes=tuple(split.sizes for split in result.splits),
        folder=inputs.get("dataset", ""),
    )


def data_difference(a: MeasuredOn, b: MeasuredOn) -> str:
    """How the data of ``a`` differ from those of ``b``, in words; empty where they are the same.

    Texts differ only where both evaluations read them.
    """
    if a.data is None or b.data is None:
        # The whole folder, byte for byte, is enough to say that the data are the same.
        return "" if a.folder and a.folder == b.folder else "other data, or data that were not recorded,"
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
    """The splits that differ, in words, such as ``splits 0 and 2: train and test images differ``; empty for none.

    Splits that differ in the same way share an item.
    """
    if len(a.sizes) != len(b.sizes):
        return [f"{len(a.sizes)} splits instead of {len(b.sizes)}"]
    found: dict[str, list[int]] = {}
    for number, (mine, other) in enumerate(zip(a.parts, b.parts, strict=True)):
        if mine is None or other is None:
            found.setdefault("images were not recorded", []).append(number)
            continue
        differ = [i for i in range(3) if mine[i] != other[i]]
        if differ:
            words = [_part(i, a.sizes[number][i], b.sizes[number][i]) for i in differ]
            found.setdefault(f"{_listed(words)} images differ", []).append(number)
    return [f"{_numbered(numbers)}: {how}" for how, numbers in found.items()]


def same_data_and_splits(a: MeasuredOn, b: MeasuredOn) -> bool:
    """Whether numbers of the two may be compared; False where that was not recorded."""
    return a.recorded and b.recorded and not data_difference(a, b) and not split_differences(a, b)


def labels(variants: Sequence[MeasuredOn]) -> dict[str, str]:
    """{key: what tells it from others of the same name}, such as ``data 3f2a, splits 91bc``; empty where nothing does.

    The digits are of the digests, so that a label stays the same whatever else is in a table.
    """
    distinct = list({one.key: one for one in variants}.values())
    known = [one for one in distinct if one.recorded]
    unrecorded = [one.key[1:] for one in distinct if not one.recorded]
    data = {one.data_digest for one in known}
    several_data = len(data) > 1 or bool(known and unrecorded)
    found: dict[str, str] = {}
    for one in distinct:
        if not one.recorded:
            digits = f" {one.key[1 : 1 + _digits(unrecorded)]}" if len(unrecorded) > 1 else ""
            found[one.key] = f"data not recorded{digits}" if len(distinct) > 1 else ""
            continue
        same = [other for other in known if other.data_digest == one.data_digest]
        texts = {other.texts_digest for other in same if other.texts_digest}
        splits = {other.splits_digest for other in same}
        words = [f"data {one.data_digest[: _digits(data)]}"] if several_data else []
        if len(texts) > 1 and one.texts_digest:
            words.append(f"texts {one.texts_digest[: _digits(texts)]}")
        if len(splits) > 1:
            words.append(f"splits {one.splits_digest[: _digits(splits)]}")
        found[one.key] = ", ".join(words)
    return found


def titled(name: str, label: str) -> str:
    """A task's name with what tells its data from others of that name."""
    return f"{name} ({label})" if label else name


def reasons(name: str, variants: Sequence[MeasuredOn]) -> dict[str, str]:
    """{key: why its column is not compared with one before of the same name}; nothing where it is or is the first."""
    named = labels(variants)
    recorded = list({one.key: one for one in variants if one.recorded}.values())
    found: dict[str, str] = {}
    for place, one in enumerate(recorded):
        others = [other for other in recorded[:place] if not same_data_and_splits(one, other)]
        # One that is compared with an earlier one and named as it, such as images alone beside images and texts.
        told = any(named[one.key] == named[other.key] for other in recorded[:place] if other not in others)
        if not others or told:
            continue
        # The nearest one: that of the same data, or at least of the same labels, where there is one.
        other = min(
            others, key=lambda each: (bool(data_difference(one, each)), each.data_digest != one.data_digest)
        )
        difference = data_difference(one, other)
        if not difference:
            difference = f"other splits ({'; '.join(split_differences(one, other))})"
        found[one.key] = (
            f"{titled(name, named[one.key])}: {difference} than {titled(name, named[other.key])}; not compared with "
            "each other"
        )
    return found


class Variants:
    """The data behind each task's name in a table or figure: labels where one name stands for several, and why."""

    def __init__(self, measured: Iterable[tuple[str, MeasuredOn]]) -> None:
        """(task, what a result of it was measured on), in the order of the table."""
        by_task: dict[str, dict[str, MeasuredOn]] = {}
        for task, one in measured:
            by_task.setdefault(task, {}).setdefault(one.key, one)
        self._of = by_task
        self._labels = {task: labels(list(of.values())) for task, of in by_task.items()}
        self._reasons = {task: reasons(task, list(of.values())) for task, of in by_task.items()}

    def keys(self, task: str) -> list[str]:
        """Of the task's data, in order of first appearance."""
        return list(self._of.get(task, ()))

    def measured(self, task: str, key: str) -> MeasuredOn:
        return self._of[task][key]

    def label(self, task: str, key: str) -> str:
        return self._labels.get(task, {}).get(key, "")

    def title(self, task: str, key: str) -> str:
        """The task's name, labelled where it stands for several data."""
        return titled(task, self.label(task, key))

    def reason(self, task: str, key: str) -> str:
        """Why the column is not compared with another of the task; empty where it is, or is the first."""
        return self._reasons.get(task, {}).get(key, "")

    def reasons(self, task: str) -> list[str]:
        return list(dict.fromkeys(self._reasons.get(task, {}).values()))

    @property
    def tasks(self) -> list[str]:
        return list(self._of)


def _digits(digests: Iterable[str]) -> int:
    distinct = set(digests)
    return next(n for n in count(SHORTEST) if len({digest[:n] for digest in distinct}) == len(distinct))


def _part(part: int, mine: int, other: int) -> str:
    return PARTS[part] if mine == other else f"{PARTS[part]} ({mine} instead of {other})"


def _numbered(numbers: Sequence[int]) -> str:
    """Such as ``split 3``, ``splits 0 and 2``, ``splits 0 to 4``."""
    if len(numbers) == 1:
        return f"split {numbers[0]}"
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"splits {numbers[0]} to {numbers[-1]}"
    return f"splits {_listed([str(number) for number in numbers])}"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _sha256(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
