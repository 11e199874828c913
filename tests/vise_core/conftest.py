"""Small data sets written as they are published."""

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

EMOTIONS = ("anger", "fear", "joy", "love", "sadness", "surprise")


def picture(path: Path, shade: int = 100, seed: int = 0) -> Path:
    """A noisy 40 x 36 image: another seed is another file, the shade tells classes apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 12, (36, 40, 3))
    image = Image.fromarray(np.clip(shade + noise, 0, 255).astype(np.uint8))
    image.save(path, "PNG" if path.suffix == ".png" else "JPEG")
    return path


def write_emotions(root: Path, each: int = 2) -> Path:
    """UnbiasedEmotion: <emotion>/<object>/<name>.jpg."""
    for number, emotion in enumerate(EMOTIONS):
        for i in range(each):
            picture(root / emotion / f"{emotion}_dog" / f"{i}.jpg", 30 * number, seed=100 * number + i)
    return root


def write_politics(root: Path, train: int = 20, test: int = 4, *, reexport: bool = False) -> Path:
    """A manifest: path,label,split, or the re-export's columns and delimiter."""
    rows = []
    for i in range(train + test):
        side, split = ("left", "right")[i % 2], "train" if i < train else "test"
        picture(root / f"{side}/{i}.jpg", 60 + 120 * (i % 2), seed=i)
        rows.append((f"{side}/{i}.jpg", side, split))
    if reexport:
        lines = ["local_path;split;label;topic", *(f"./{p};{s};{side.title()};guns" for p, side, s in rows)]
    else:
        lines = ["path,label,split", *(",".join(row) for row in rows)]
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return root


def write_memes(root: Path, files: dict[str, Sequence[int | None]]) -> Path:
    """Hateful Memes: {file's stem: label of each row, None for a row without}. Ids run on over the files."""
    number = 0
    for name, labels in files.items():
        lines = []
        for label in labels:
            number += 1
            picture(root / f"img/{number:05}.png", 60 + 120 * (label or 0), seed=number)
            row = {
                "id": number,
                "img": f"img/{number:05}.png",
                "label": label,
                "text": f"sentence {number} 😂",
            }
            if label is None:
                del row["label"]
            lines.append(json.dumps(row))
        (root / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return root


def write_cub(root: Path, species: int = 3, train: int = 2, test: int = 1) -> Path:
    """CUB_200_2011. Ids are given from the last image to the first, so that only a join on them is right."""
    images, labels, parts = [], [], []
    number = species * (train + test)
    for label in range(1, species + 1):
        for i in range(train + test):
            name = f"{label:03}.Bird_{label}/Bird_{label}_{i:04}.jpg"
            picture(root / "images" / name, (70 * label) % 250, seed=number)
            images.append(f"{number} {name}")
            labels.insert(0, f"{number} {label}")
            parts.append(f"{number} {int(i < train)}")
            number -= 1
    (root / "images.txt").write_text("\n".join(images) + "\n")
    (root / "image_class_labels.txt").write_text("\n".join(labels) + "\n")
    (root / "train_test_split.txt").write_text("\n".join(sorted(parts)) + "\n")
    (root / "classes.txt").write_text("".join(f"{n} {n:03}.Bird_{n}\n" for n in range(1, species + 1)))
    return root


def write_imagenet(
    root: Path, wnids: Sequence[str] = ("n01440764", "n01443537"), train: int = 2, val: int = 1
) -> Path:
    """train/<wnid>/*.JPEG and val/<wnid>/*.JPEG."""
    for number, wnid in enumerate(wnids):
        for i in range(train):
            picture(root / f"train/{wnid}/{wnid}_{i}.JPEG", 90 * number, seed=10 * number + i)
        for i in range(val):
            picture(
                root / f"val/{wnid}/ILSVRC2012_val_{number * val + i + 1:08}.JPEG",
                90 * number,
                seed=1000 + number * val + i,
            )
    return root


@pytest.fixture(scope="session")
def layouts() -> SimpleNamespace:
    """Writers of the published layouts, and of a picture."""
    return SimpleNamespace(
        picture=picture,
        emotions=write_emotions,
        politics=write_politics,
        memes=write_memes,
        cub=write_cub,
        imagenet=write_imagenet,
    )


@pytest.fixture
def no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account without a home folder, and no cache that the environment names."""
    for name in ("VISE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_account(*_: object) -> None:
        raise KeyError("no such user")

    monkeypatch.setattr("pwd.getpwuid", no_account)
