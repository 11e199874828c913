"""Labelled sets whose lists are damaged, lead outside or contradict the files."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator

from tests.hostile.case import Case, labelled, picture, zipped
from tests.hostile.checkpoints import Call, deep, doubling
from tests.hostile.pictures import BOMBS, MISLABELLED

HONEST = labelled()
ROWS = [f"{name},{name[0]}" for name in HONEST]


def listed(rows: list[str], *, head: str = "path,label", name: str = "labels.csv") -> Callable[[], bytes]:
    return lambda: zipped({name: "\n".join([head, *ROWS, *rows]).encode("utf-8", "surrogatepass"), **HONEST})


def content(name: str, data: bytes) -> Callable[[], bytes]:
    return lambda: zipped({name: data, **HONEST})


def memes(row: object) -> Callable[[], bytes]:
    rows = [{"id": i, "img": f"img/{i}.png", "label": i % 2, "text": "a"} for i in range(8)]
    train = "\n".join(json.dumps(r) for r in [row, *rows]).encode()
    images = {f"img/{i}.png": picture() for i in range(8)}
    return lambda: zipped({"train.jsonl": train, "dev.jsonl": train, **images})


def politics(data: bytes) -> Callable[[], bytes]:
    return lambda: zipped(
        {"train_test_paths.pickle": data, "imgs/LEFT/a.png": picture(), "imgs/RIGHT/b.png": picture()}
    )


TABLES: dict[str, Callable[[], bytes]] = {
    "path outside": listed(["../../../../etc/passwd,a"]),
    "absolute path": listed(["/etc/passwd,a"]),
    "path of 5,000 characters": listed(["a" * 5000 + ".png,a"]),
    "path of 900 folders": listed(["a/" * 900 + "a.png,a"]),
    "NUL in a path": listed(["a\0b.png,a"]),
    "a surrogate in a label": listed(["a/0.png,\ud800"]),
    "label of 10^6 characters": listed(["a/0.png," + "x" * 10**6]),
    "label of markup": listed(["a/0.png,:red[x] <b>x</b> $x$"]),
    "100,000 missing files": listed([f"no{i}.png,a" for i in range(100_000)]),
    "100,000 classes": listed([f"a/0.png,c{i}" for i in range(100_000)]),
    "the same row 100,000 times": listed(["a/0.png,a"] * 100_000),
    "rows of other lengths": listed(["a", ",,,,,", "", "a/0.png"]),
    "a quote without an end": listed(['"a/0.png,a\n' * 50_000]),
    "split that does not exist": listed(["a/0.png,a,later"], head="path,label,split"),
    "20 lists of 30,000 columns": lambda: zipped({f"l{i}.csv": b",".join(b"c%d" % n for n in range(30_000)) for i in range(20)} | HONEST),
    "no header": listed([], head="1,2"),
    "the same column thrice": listed([], head="label,label"),
    "noise": content("labels.csv", bytes(range(256)) * 400),
    "zeros": content("labels.csv", bytes(10**6)),
    "UTF-16": content("labels.csv", "\n".join(["path,label", *ROWS]).encode("utf-16")),
    "dataset.json 200,000 deep": content("dataset.json", b"[" * 200_000),
    "an empty list": content("labels.csv", b""),
    "a list that is a picture": content("labels.csv", picture()),
    "row 200,000 deep": lambda: zipped({"train.jsonl": b"[" * 200_000, "dev.jsonl": b"{}", "img/0.png": picture()}),
    "row that is a number": memes(7),
    "row with text of 10^6 characters": memes({"id": 9, "img": "img/0.png", "label": 0, "text": "a" * 10**6}),
    "row with a label of NaN": memes({"id": 9, "img": "img/0.png", "label": float("nan"), "text": "a"}),
    "row with a path outside": memes({"id": 9, "img": "../../etc/passwd", "label": 0, "text": "a"}),
    "pickle that runs code": politics(pickle.dumps(Call(os.system, "touch /tmp/vise-hostile-trace"), 2)),
    "pickle 200,000 deep": politics(deep(200_000)),
    "pickle of 2^60 objects": politics(doubling(60)),
    "pickle of wrong types": politics(pickle.dumps({"train_imgs": 7, "test_imgs": None}, 2)),
    "pickle, cut": politics(pickle.dumps({"train_imgs": ["imgs/LEFT/a.png"]}, 2)[:-5]),
    "CUB lists of noise": lambda: zipped({"images.txt": b"1 a\n2", "train_test_split.txt": b"x y z", "image_class_labels.txt": b"\xff", **HONEST}),
    "one class": lambda: zipped({f"a/{i}.png": picture() for i in range(8)}),
    "no picture": lambda: zipped({"a/readme.txt": b"x", "b/readme.txt": b"y"}),
    "folders 100 deep": lambda: zipped({"a/" * 100 + "0.png": picture(), "b/" * 100 + "0.png": picture()}),
    "every mislabelled picture": lambda: zipped(HONEST | {f"a/m{i}.png": d for i, d in enumerate(MISLABELLED.values())}),
    "every bomb": lambda: zipped(
        HONEST | {f"b/x{i}.png": build() for i, (_, build) in enumerate(BOMBS.values())}, zipfile.ZIP_STORED
    ),
}  # fmt: skip


def tables() -> Iterator[Case]:
    for name, build in TABLES.items():
        yield Case("table", name, "a.zip", build)
