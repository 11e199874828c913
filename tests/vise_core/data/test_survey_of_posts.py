"""A survey predicts what ingest rejects and leaves out, reason by reason, in every layout: both use one check."""

import csv
import gzip
import io
import json
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.pictures import encoded
from vise_core.data import survey
from vise_core.reporter import LocalReporter
from vise_core.specs.ingest import IngestResult, IngestSpec
from vise_core.specs.survey import SurveyResult, SurveySpec
from vise_core.stage import run_stage

REACTIONS = ("haha", "sorry", "angry", "wow", "love")


def picture(shade: int = 90) -> bytes:
    values = np.random.default_rng(shade).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    return encoded(Image.fromarray(values), "JPEG")


# What is wrong with a post → the reason that ingest counts it under, by hand; None: it is kept.
FAULTS: dict[str, str | None] = {
    "none": None,
    "empty id": "bad_id",
    "same id": "duplicate_id",
    "no image": "missing_image",
    "broken image": "image_truncated",
    "text as image": "image_not_an_image",
    "negative": "negative_count",
    "with separator": "bad_reactions",
    "null count": None,
    "unknown name": None,
    "blank comment": None,
}


def rows_of(faults: list[str]) -> list[dict[str, Any]]:
    rows = []
    for n, fault in enumerate(["none", *faults]):
        row: dict[str, Any] = {
            "id": f"p{n}",
            "image": picture(n),
            "comments": [f"comment {n}", "second"],
            "reactions": {"haha": n, "sorry": 0, "angry": 0, "wow": 1, "love": 2},
        }
        match fault:
            case "empty id":
                row["id"] = " "
            case "same id":
                row["id"] = "p0"
            case "no image":
                row["image"] = None
            case "broken image":
                row["image"] = picture()[:-600]
            case "text as image":
                row["image"] = b"hello"
            case "negative":
                row["reactions"]["wow"] = -1
            case "with separator":
                row["reactions"]["wow"] = "1,234"
            case "null count":
                row["reactions"]["wow"] = None
            case "unknown name":
                row["reactions"]["care"] = 4
            case "blank comment":
                row["comments"] = ["", "x"]
        rows.append(row)
    return rows


def with_files(folder: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with names of image files, and two files that no post names."""
    (folder / "images").mkdir()
    (folder / "images" / "unnamed.PNG").write_bytes(picture())
    (folder / "notes.md").write_text("hello")
    named = []
    for n, row in enumerate(rows):
        if row["image"] is not None:
            (folder / "images" / f"{n}.jpg").write_bytes(row["image"])
        named.append(row | {"image": None if row["image"] is None else f"{n}.jpg"})
    return named


def flat(row: dict[str, Any]) -> dict[str, Any]:
    counts = {name: row["reactions"].get(name) for name in (*REACTIONS, "care")}
    return {"id": row["id"], "image": row["image"], "comments": row["comments"]} | counts


def write_jsonl(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    lines = "\n".join(json.dumps(row) for row in with_files(folder, rows)) + "\n{broken\n"
    (folder / "posts.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    return {"kind": "jsonl"}


def write_json(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    elements = [json.dumps(row) for row in with_files(folder, rows)]
    (folder / "posts.json").write_text("[" + ",\n".join([*elements, "{broken}"]) + "]")
    return {"kind": "json"}


def write_csv(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    with (folder / "posts.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerow(flat(rows[0]))
        for row in with_files(folder, rows):
            values = flat(row)
            table.writerow(
                [*list(values.values())[:2], json.dumps(row["comments"]), *list(values.values())[3:]]
            )
        table.writerow(["too", "few"])
    return {"kind": "csv"}


def write_parquet(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    # A column has one type: counts are texts where one is.
    table = [
        flat(row) | {name: None if count is None else str(count) for name, count in row["reactions"].items()}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(table), folder / "posts.parquet")
    return {"kind": "parquet", "fields": {"map": "flat"}}


def write_webdataset(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    with tarfile.open(folder / "a.tar", "w") as tar:
        for n, row in enumerate([*rows, rows[0]]):
            # The last sample has the members of the first once more.
            key = "0000" if n == len(rows) else f"{n:04d}"
            members = {"json": json.dumps({k: v for k, v in row.items() if k != "image"}).encode()}
            members |= {"jpg": row["image"]} if row["image"] is not None else {}
            for suffix, data in members.items():
                info = tarfile.TarInfo(f"{key}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return {"kind": "webdataset"}


def write_pictures(folder: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    for n, row in enumerate(rows):
        if row["image"] is not None:
            (folder / f"{n:04d}.jpg").write_bytes(row["image"])
        (folder / f"{n:04d}.json").write_text(json.dumps({k: v for k, v in row.items() if k != "image"}))
    (folder / "alone.jpg").write_bytes(picture())
    return {"kind": "pictures"}


# Writer, what it adds that is rejected, and files that no post names.
LAYOUTS = {
    "jsonl": (write_jsonl, {"not_json": 1}, {"images_without_post": 1, "other_files": 1}),
    "json": (write_json, {"not_json": 1}, {"images_without_post": 1, "other_files": 1}),
    "csv": (write_csv, {"bad_row": 1}, {"images_without_post": 1, "other_files": 1}),
    "parquet": (write_parquet, {}, {}),
    "webdataset": (write_webdataset, {"duplicate_member": 1}, {}),
    "pictures": (write_pictures, {"missing_data": 1}, {}),
}


def look(folder: Path, work: Path, **spec: Any) -> SurveyResult:
    reporter = LocalReporter(work / "artifacts")
    return survey.run(SurveySpec(kind="posts", **spec), {"dataset": folder}, work, reporter)


def ingest(folder: Path, work: Path, source: dict[str, Any]) -> IngestResult:
    spec = IngestSpec.model_validate({"source": source})
    result = run_stage("ingest", spec, {"source": folder}, work, LocalReporter(work / "artifacts"))
    assert isinstance(result, IngestResult)
    return result


@pytest.mark.parametrize("layout", LAYOUTS)
@settings(max_examples=6, deadline=None)
@given(faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=8))
@pytest.mark.slow
def test_a_survey_predicts_what_ingest_rejects_and_leaves_out(layout: str, faults: list[str]) -> None:
    write, added, unused = LAYOUTS[layout]
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "in"
        folder.mkdir()
        source = write(folder, rows_of(faults))
        seen = look(folder, Path(work) / "survey", source=source)
        guessed = look(folder, Path(work) / "guessed")
        taken = ingest(folder, Path(work) / "ingest", source)
        by_guess = ingest(folder, Path(work) / "by-guess", guessed.source or {})
    wanted = Counter(reason for fault in faults if (reason := FAULTS[fault])) + Counter(added)
    assert seen.rejected == taken.rejected == wanted
    assert seen.dropped == taken.dropped
    assert guessed.rejected == by_guess.rejected == wanted
    assert guessed.dropped == by_guess.dropped
    assert seen.examined == taken.read == len(faults) + 1 + sum(added.values())
    assert taken.posts == taken.read - sum(wanted.values())
    files = {
        key: count for key, count in taken.dropped.items() if key in ("images_without_post", "other_files")
    }
    assert files == unused
    assert taken.other_reactions == (
        {"care": 4 * faults.count("unknown name")} if "unknown name" in faults else {}
    )
    assert taken.dropped.get("comments_empty", 0) == faults.count("blank comment")


def test_the_survey_keeps_the_peek_and_examples_for_the_page(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    write_csv(tmp_path / "in", rows_of(["negative", "unknown name"]))
    survey_result = look(tmp_path / "in", tmp_path / "work")
    told = json.loads((tmp_path / "work" / "survey" / "survey.json").read_text())
    assert survey_result.layout == told["peek"]["layout"] == "csv"
    assert survey_result.source == told["peek"]["source"]
    assert [post["reason"] for post in told["peek"]["posts"]] == [None, "negative_count", None, "bad_row"]
    assert {example["reason"] for example in told["examples"]} == {"negative_count", "bad_row"}
    assert any("care 4" in warning for warning in survey_result.warnings)
    assert any("reject 2 of 4 posts" in warning for warning in survey_result.warnings)


def test_one_file_of_parquet_is_posts_too(tmp_path: Path) -> None:
    write_parquet(tmp_path, rows_of(["negative"]))
    survey_result = look(tmp_path / "posts.parquet", tmp_path / "work")
    assert (survey_result.layout, survey_result.rejected) == ("parquet", {"negative_count": 1})
    assert ingest(tmp_path / "posts.parquet", tmp_path / "ingest", survey_result.source or {}).posts == 1
