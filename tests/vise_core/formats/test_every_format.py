"""Every format: what is written is read back, and a wrong version, a missing or a damaged file is named."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from scipy import sparse
from torch import nn

import vise_core
from vise_core import formats
from vise_core.errors import BadInput
from vise_core.formats import clusterer as clusterer_format
from vise_core.formats.clusterer import ClustererCard
from vise_core.formats.explorer import (
    ClusterPair,
    ExplorerSummary,
    read_explorer,
    write_explorer_summary,
    write_explorer_table,
)
from vise_core.formats.inspection import (
    CommentCluster,
    Inspection,
    ReactionCluster,
    read_inspection,
    write_inspection,
)
from vise_core.formats.labels import (
    SCHEMA,
    LabelFacts,
    label_batches,
    label_file,
    labels_by_key,
    read_label_facts,
    write_label_facts,
    write_label_table,
)
from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardIndex, ShardWriter, shard_name, write_index
from vise_core.formats.predictions import SplitPredictions, read_predictions, write_predictions
from vise_core.models.backbones import build_backbone
from vise_core.models.checkpoint import load_backbone, load_heads, save_checkpoint
from vise_core.models.classifier import ImageClassifier, load_classifier, save_classifier
from vise_core.specs.cluster import ClusterSpec
from vise_core.specs.explore import LabelSpread
from vise_core.specs.posts.fields import REACTIONS


@dataclass(frozen=True)
class Case:
    """How a format is written and read, and what is then compared.

    Attributes
    ----------
    module: of vise_core.formats.
    write: writes an artifact into an empty folder and returns what it holds.
    read: reads it again.
    versioned: the file that names the format and its version.
    """

    module: str
    write: Callable[[Path], Any]
    read: Callable[[Path], Any]
    versioned: str


def write_posts(folder: Path) -> Any:
    records = [
        PostRecord(Post(f"post {i}", ("nice", "große 😂"), (i, 0, 2, 0, 1)), b"\xff" * i) for i in (3, 5)
    ]
    writer = ShardWriter(folder / shard_name(0))
    for record in records:
        writer.write(record)
    write_index(folder, [writer.close()], synthetic=True)
    return True, records


def read_posts(folder: Path) -> Any:
    index = ShardIndex.open(folder)
    return index.synthetic, list(index.iterate())


LABELS = [
    {"post_id": "a", "key": "0a", "comment_labels": [1, 1, 3], "reaction_label": None},
    {"post_id": "b", "key": "0b", "comment_labels": [], "reaction_label": 2},
]


def write_labels(folder: Path) -> Any:
    facts = LabelFacts(comment_clusters=4, reaction_clusters=3, posts=2, synthetic=False, shuffled=True)
    write_label_table(label_file(folder, 0), pa.Table.from_pylist(LABELS, schema=SCHEMA))
    write_label_facts(folder, facts)
    return facts, LABELS


def read_labels(folder: Path) -> Any:
    return read_label_facts(folder), [row for batch in label_batches(folder) for row in batch.to_pylist()]


def write_clusterer(folder: Path) -> Any:
    words = np.array([[0, 1, 0], [0.5, 0, 0.5]], dtype=np.float32)
    reactions = np.eye(3, 5, dtype=np.float32)
    card = ClustererCard(spec=ClusterSpec(seed=7), comment_clusters=2, reaction_clusters=3, synthetic=True)
    clusterer_format.write_word_centroids(folder, sparse.csr_matrix(words))
    clusterer_format.write_reaction_centroids(folder, reactions)
    clusterer_format.write_vocabulary(folder, ["bad", "größe", "😂"], np.array([1.0, 1.5, 2.0]))
    clusterer_format.write_clusterer_card(folder, card)
    return card, words.tolist(), reactions.tolist(), (["bad", "größe", "😂"], [1.0, 1.5, 2.0])


def read_clusterer(folder: Path) -> Any:
    terms, idf = clusterer_format.read_vocabulary(folder)
    return (
        clusterer_format.read_clusterer_card(folder),
        clusterer_format.read_word_centroids(folder, (2, 3)).toarray().tolist(),
        clusterer_format.read_reaction_centroids(folder, (3, 5)).tolist(),
        (terms, idf.tolist()),
    )


INSPECTION = Inspection(
    synthetic=True,
    comments=(CommentCluster(cluster=0, size=9, terms=(("größe", 0.5),), comments=("so nice",)),),
    reactions=(ReactionCluster(cluster=0, size=4, reactions=dict.fromkeys(REACTIONS, 0.2)),),
)


def write_inspection_file(folder: Path) -> Any:
    write_inspection(folder / "inspection.json", INSPECTION)
    return INSPECTION


def write_explorer(folder: Path) -> Any:
    shared = {"x": 0.5, "y": -1.0, "sample_posts": ["a"], "thumbnails": None, "reactions": [1.0, 0, 0, 0, 0]}
    tables = {
        "comments": [
            {"cluster": 0, "size": 3, "posts": 2, "terms": ["😂"], "weights": [0.5], "comments": ["so"]}
            | shared
        ],
        "reactions": [{"cluster": 0, "size": 2, "centroid": [1.0, 0.0, 0.0, 0.0, 0.0]} | shared],
    }
    spread = LabelSpread(
        clusters=1,
        used=1,
        labels=3,
        entropy_bits=0,
        normalised_entropy=0,
        perplexity=1,
        largest_share=1,
    )
    summary = ExplorerSummary(
        synthetic=False,
        labels=True,
        shuffled=False,
        posts=2,
        reaction_names=REACTIONS,
        thumbnail=32,
        comments=spread,
        reactions=spread,
        agreement=None,
        pairs=(ClusterPair(first=0, second=0, weight=2, expected=2, lift=1),),
        map_explained={"comments": (1.0, 0.0), "reactions": (1.0, 0.0)},
    )
    write_explorer_table(folder, "comments", tables["comments"])
    write_explorer_table(folder, "reactions", tables["reactions"])
    write_explorer_summary(folder, summary)
    return summary, tables


def read_explorer_folder(folder: Path) -> Any:
    explorer = read_explorer(folder)
    return explorer.summary, explorer.tables


def write_checkpoint(folder: Path) -> Any:
    backbone, head = build_backbone("resnet18", seed=0), nn.Linear(512, 4)
    save_checkpoint(folder, backbone, {"comments": head}, image_size=48)
    return sums(backbone, head)


def read_checkpoint(folder: Path) -> Any:
    return sums(load_backbone(folder), load_heads(folder)["comments"])


def write_predictor(folder: Path) -> Any:
    classifier = ImageClassifier(build_backbone("resnet18", seed=0), nn.Linear(512, 2), ["no", "größe"])
    save_classifier(folder, classifier, {"task": "a task", "split": 0})
    return classifier.classes, sums(classifier)


def read_predictor(folder: Path) -> Any:
    classifier = load_classifier(folder)
    return classifier.classes, sums(classifier)


def sums(*modules: nn.Module) -> list[float]:
    with torch.no_grad():
        return [float(tensor.double().sum()) for module in modules for tensor in module.state_dict().values()]


def write_predictions_file(folder: Path) -> Any:
    scores = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    splits = [SplitPredictions(0, "test", ["a.png", "b/ß.png"], ["no", "yes"], scores)]
    write_predictions(folder / "predictions.parquet", ["no", "yes"], splits)
    shared = {"split": 0, "part": "test"}
    return [
        {**shared, "path": "a.png", "label": "no", "predicted": "yes", "score_no": 0.25, "score_yes": 0.75},
        {**shared, "path": "b/ß.png", "label": "yes", "predicted": "no", "score_no": 0.5, "score_yes": 0.5},
    ]


CASES = [
    Case("posts", write_posts, read_posts, "index.json"),
    Case("labels", write_labels, read_labels, "labels.json"),
    Case("clusterer", write_clusterer, read_clusterer, "clusterer.json"),
    Case(
        "inspection",
        write_inspection_file,
        lambda f: read_inspection(f / "inspection.json"),
        "inspection.json",
    ),
    Case("explorer", write_explorer, read_explorer_folder, "explorer.json"),
    Case("checkpoint", write_checkpoint, read_checkpoint, "checkpoint.json"),
    Case("predictor", write_predictor, read_predictor, "predictor.json"),
    Case(
        "predictions",
        write_predictions_file,
        lambda f: read_predictions(f / "predictions.parquet").to_pylist(),
        "predictions.parquet",
    ),
]
each_format = pytest.mark.parametrize("case", CASES, ids=lambda case: case.module)
REMEDIES = r"(ingest|label|cluster|explore|pretrain|import|evaluate|copy)( \w+)* (again|whole)"
NO_FORMAT = {
    "json_file",
    "parquet_file",
    "network_card",
    "post",
    "data_card",
    "holding",
    "holding_process",
    "removal",
}
"""Modules that formats share, and dataset.json, which people write too and which has no version."""


def format_names() -> dict[str, str]:
    """Module → the name of its format, as the module spells it."""
    names = {}
    for module in iter_modules(formats.__path__):
        source = Path(import_module(f"vise_core.formats.{module.name}").__file__ or "").read_text()
        found = set(re.findall(r'"(vise-[a-z]+-\d+)"', source))
        assert len(found) == (module.name not in NO_FORMAT), f"{module.name} spells {found}"
        if found:
            names[module.name] = found.pop()
    return names


def test_every_format_has_a_case() -> None:
    assert format_names().keys() == {case.module for case in CASES}


def test_no_other_module_spells_the_name_of_a_format() -> None:
    root = Path(vise_core.__file__).parent
    for path in root.rglob("*.py"):
        if path.parent != root / "formats":
            source = path.read_text()
            assert not [name for name in format_names().values() if name in source], path


@each_format
def test_what_is_written_is_read_back(case: Case, tmp_path: Path) -> None:
    written = case.write(tmp_path)
    assert case.read(tmp_path) == written


@each_format
def test_the_same_content_gives_the_same_bytes(case: Case, tmp_path: Path) -> None:
    torch.manual_seed(0)
    (tmp_path / "a").mkdir()
    case.write(tmp_path / "a")
    torch.manual_seed(0)
    (tmp_path / "b").mkdir()
    case.write(tmp_path / "b")
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}


@each_format
def test_another_version_is_named(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    path, name = tmp_path / case.versioned, format_names()[case.module]
    newer = f"{name.rpartition('-')[0]}-99"
    if path.suffix == ".json":
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": newer}))
    else:
        table = pq.read_table(path).replace_schema_metadata({"format": newer})
        pq.write_table(table, path)
    with pytest.raises(
        BadInput, match=f"{case.versioned}: format is '{newer}', expected '{name}'.*{REMEDIES}"
    ):
        case.read(tmp_path)


@each_format
def test_a_missing_file_is_named(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        if case.module == "labels" and path.suffix == ".parquet":
            continue  # Which files there must be is in the index of the posts: see below.
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(BadInput, match=rf"{re.escape(path.name)}\b.*{REMEDIES}"):
            case.read(tmp_path)
        path.write_bytes(content)
    case.read(tmp_path)


def test_a_missing_shard_of_labels_is_named(tmp_path: Path) -> None:
    write_labels(tmp_path)
    assert labels_by_key(tmp_path, "shard-000000.tar") == {"0a": ([1, 1, 3], None), "0b": ([], 2)}
    with pytest.raises(BadInput, match=rf"shard-000001\.parquet: missing.*{REMEDIES}"):
        labels_by_key(tmp_path, "shard-000001.tar")


@each_format
@pytest.mark.parametrize("damage", ["empty", "cut", "noise"])
def test_a_damaged_file_is_named(case: Case, damage: str, tmp_path: Path) -> None:
    case.write(tmp_path)
    for path in sorted(tmp_path.iterdir()):
        content = path.read_bytes()
        path.write_bytes(
            {"empty": b"", "cut": content[: len(content) // 2], "noise": b"\x93\x00" * 64}[damage]
        )
        with pytest.raises(BadInput, match=rf"{re.escape(path.name)}\b.*{REMEDIES}"):
            case.read(tmp_path)
        path.write_bytes(content)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.versioned.endswith(".json")], ids=lambda case: case.module
)
def test_a_field_that_is_not_one_is_named(case: Case, tmp_path: Path) -> None:
    """The fields of a Parquet file are its columns."""
    case.write(tmp_path)
    path = tmp_path / case.versioned
    path.write_text(json.dumps(json.loads(path.read_text()) | {"further": 1}))
    with pytest.raises(BadInput, match=rf"{case.versioned}: further: .*{REMEDIES}"):
        case.read(tmp_path)


def test_what_the_api_reads_needs_no_torch() -> None:
    modules = ", ".join(f"vise_core.formats.{m.name}" for m in iter_modules(formats.__path__))
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
