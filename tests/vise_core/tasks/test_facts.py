"""Table 8 and App. C.3 as data, and what is built from them."""

import re

import pytest

from vise_core.specs.evaluate import EvaluateSpec
from vise_core.specs.evaluation.presets import evaluation
from vise_core.specs.stages import STAGES
from vise_core.specs.tasks.catalogue import TASKS, task_metric
from vise_core.specs.tasks.kinds import CsvTask, FolderTask, HatefulMemesTask
from vise_core.specs.tasks.metrics import METRICS
from vise_core.specs.tasks.splits import SplitSpec
from vise_core.tasks.splits import random_splits

TABLE_8 = {
    "cub": "Caltech-UCSD Birds-200-2011 [80] Fine-grained bird species recognition 200 5994 5794 -",
    "unbiased_emotion": "UnbiasedEmotion [62] Image emotion recognition 6 2,131? 304? 610?",
    "politics": "Politics [75] Visual political bias prediction 2 607,306? 67,478? 75,148",
    "hateful_memes": "Hateful Memes [40] Hate speech detection in multimodal memes 2 8,500 500 -",
}
"""Lines of the paper's text as its PDF gives them, where ? is the mark of a random split."""


@pytest.mark.parametrize("kind", TABLE_8)
def test_the_registry_says_what_table_8_says(kind: str):
    about, *numbers = re.fullmatch(r".*?\[\d+\] (.*?) (\d+) (\S+) (\S+) (\S+)", TABLE_8[kind]).groups()
    classes, train, val, test = (None if n == "-" else int(n.replace(",", "").rstrip("?")) for n in numbers)
    entry = TASKS[kind]
    assert (entry.about, entry.classes) == (about, classes)
    assert [entry.counts.get(split) for split in ("train", "val", "test")] == [train, val, test]
    assert entry.class_names is None or len(entry.class_names) == classes


def test_the_random_splits_have_the_sizes_of_table_8():
    emotion, politics = TASKS["unbiased_emotion"].counts, TASKS["politics"].counts
    assert random_splits(3_045, SplitSpec(count=1))[0].sizes == tuple(emotion.values())
    # 90/10 of the published train split of 749,932 - 75,148 images.
    train = 749_932 - politics["test"]
    assert (train - train // 10, train // 10) == (politics["train"], politics["val"])


SCHEDULES = [  # Tables 10-13, by hand
    ("unbiased_emotion", "resnet50", 128, 100, (60, 80), 0.1),
    ("unbiased_emotion", "resnet101", 64, 100, (60, 80), 0.1),
    ("unbiased_emotion", "resnext101_32x16d", 32, 100, (60, 80), 0.1),
    ("politics", "resnet50", 192, 25, (10, 20), 0.1),
    ("politics", "resnext101_32x16d", 192, 25, (10, 20), 0.1),
    ("hateful_memes", "resnet50", 64, 30, (20,), 0.5),
    ("hateful_memes", "resnet101", 32, 30, (20,), 0.5),
    ("hateful_memes", "resnext101_32x16d", 16, 30, (20,), 0.5),
    ("cub", "resnet50", 128, 300, (100, 200), 0.1),
    ("cub", "resnext101_32x16d", 32, 300, (100, 200), 0.1),
]


@pytest.mark.parametrize(("kind", "backbone", "batch", "epochs", "milestones", "gamma"), SCHEDULES)
def test_an_evaluation_has_the_papers_schedule(
    kind: str, backbone: str, batch: int, epochs: int, milestones: tuple[int, ...], gamma: float
):
    for protocol in ("linear", "fine-tuned"):
        spec = EvaluateSpec.model_validate(evaluation(kind, protocol, backbone))
        assert (spec.batch, spec.epochs, spec.milestones, spec.gamma) == (batch, epochs, milestones, gamma)
        assert (spec.task.kind, spec.protocol) == (kind, protocol)
        assert (spec.base_lrs, spec.weight_decays) == ((0.025, 0.0025, 0.00025), (0.01, 0.001, 0.0001))
        assert (spec.optimizer, spec.momentum) == ("sgd", 0.9)
        assert spec.splits.count == (5 if kind == "unbiased_emotion" else 1)


def test_there_is_a_preset_for_every_task_protocol_and_backbone_of_the_paper():
    specs = [EvaluateSpec.model_validate(preset) for preset in STAGES["evaluate"].presets.values()]
    found = {(spec.task.kind, spec.protocol, spec.batch) for spec in specs}
    wanted = {
        (kind, protocol, batch)
        for kind, entry in TASKS.items()
        for protocol in entry.protocols
        for batch in entry.schedule.batch.values()
    }
    assert found == wanted
    assert ("imagenet", "linear", 256) not in found
    for kind, entry in TASKS.items():
        named = [spec for spec in specs if spec.task.kind == kind]
        assert {spec.task.name for spec in named} == {entry.title}


def test_what_is_ours_is_said():
    assert TASKS["unbiased_emotion"].schedule.ours == ("epochs", "milestones", "gamma")
    assert TASKS["imagenet"].schedule.ours == ("epochs", "milestones", "gamma", "batch")
    assert not any(TASKS[kind].schedule.ours for kind in ("politics", "hateful_memes", "cub"))


def test_every_metric_has_a_way_of_writing():
    named = {entry.metric for entry in TASKS.values()} | {m for e in TASKS.values() for m in e.secondary}
    assert named <= set(METRICS)
    assert (METRICS["roc_auc"].digits, METRICS["accuracy"].digits) == (4, 2)
    assert task_metric(HatefulMemesTask()) == "roc_auc"
    assert task_metric(FolderTask()) == "accuracy"
    assert task_metric(CsvTask(metric="roc_auc")) == "roc_auc"
