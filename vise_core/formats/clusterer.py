"""The artifact ``clusterer`` of the stage cluster: fitted features and centroids.

A folder with ``clusterer.json``; for comments ``comment_centroids.npz`` (CSR, columns are words) beside
``vocabulary.json`` and ``idf.npy``, or ``comment_centroids.npy`` (dense) beside ``terms.json``, ``encoder.json`` and
``encoder/``; for reactions ``reaction_centroids.npy``. ``vise_core.engagement.clusterer`` loads it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
from pydantic import Field
from scipy import sparse

from vise_core.errors import BadCheckpoint
from vise_core.specs.base import Record
from vise_core.specs.cluster import ClusterSpec

from .json_file import read_json, write_json

Terms = list[list[tuple[str, float]]]
"""(word, weight) pairs of each cluster, heaviest first."""

_CARD_FILE = "clusterer.json"
_SPARSE_FILE, _DENSE_FILE, _REACTIONS_FILE = (
    "comment_centroids.npz",
    "comment_centroids.npy",
    "reaction_centroids.npy",
)
_TERMS_FILE, _VOCABULARY_FILE, _IDF_FILE = "terms.json", "vocabulary.json", "idf.npy"
_REMEDY = "cluster again"

T = TypeVar("T")


class ClustererCard(Record):
    """The content of ``clusterer.json``."""

    format: Literal["vise-clusterer-1"] = "vise-clusterer-1"
    spec: ClusterSpec = Field(description="What it was fitted with; its subset is never pretrained on.")
    comment_clusters: int = Field(ge=0)
    reaction_clusters: int = Field(ge=0)
    synthetic: bool = Field(description="Whether it was fitted on sample data.")


def write_clusterer_card(folder: Path, card: ClustererCard) -> None:
    """Write ``clusterer.json``."""
    # How it was computed changes nothing, and equal clusterers are to be equal files.
    write_json(folder / _CARD_FILE, card, exclude={"spec": {"compute"}})


def read_clusterer_card(folder: Path) -> ClustererCard:
    """Read ``clusterer.json``. Raises BadCheckpoint if the file is missing, damaged or of another format."""
    return read_json(folder / _CARD_FILE, ClustererCard, remedy=_REMEDY, error=BadCheckpoint)


def write_word_centroids(folder: Path, centroids: sparse.csr_matrix) -> None:
    """Write (k, n_terms) float32 centroids of comments whose columns are words."""
    sparse.save_npz(folder / _SPARSE_FILE, centroids)


def read_word_centroids(folder: Path, shape: tuple[int, int]) -> sparse.csr_matrix:
    """Read (k, n_terms) float32 CSR centroids. Raises BadCheckpoint for another shape, or an invalid index or value."""
    path = folder / _SPARSE_FILE
    matrix = _loaded(path, lambda: sparse.csr_matrix(sparse.load_npz(path)))
    _require_shape(path, matrix.shape, shape)
    # Compiled code would follow a wrong index anywhere.
    _loaded(path, lambda: matrix.check_format(full_check=True))
    _require_finite(path, matrix.data)
    return matrix.astype(np.float32)


def write_dense_centroids(folder: Path, centroids: npt.NDArray[np.float32], terms: Terms) -> None:
    """Write (k, dim) float32 centroids of comments and the characteristic words of each cluster."""
    np.save(folder / _DENSE_FILE, centroids)
    (folder / _TERMS_FILE).write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")


def read_dense_centroids(folder: Path, shape: tuple[int, int]) -> tuple[npt.NDArray[np.float32], Terms]:
    """Read ((k, dim) float32 centroids, characteristic words of each cluster).

    Raises BadCheckpoint if a file is missing or damaged, or if its shape is not ``shape``, (k, dim).
    """
    path = folder / _TERMS_FILE
    terms: Terms = _loaded(
        path,
        lambda: [
            [(str(word), float(weight)) for word, weight in row] for row in json.loads(path.read_bytes())
        ],
    )
    if len(terms) != shape[0]:
        raise BadCheckpoint(f"{path}: words of {len(terms)} clusters, expected {shape[0]}: {_REMEDY}")
    return _read_array(folder / _DENSE_FILE, shape), terms


def write_reaction_centroids(folder: Path, centroids: npt.NDArray[np.float32]) -> None:
    """Write (k, 5) float32 centroids of reactions."""
    np.save(folder / _REACTIONS_FILE, centroids)


def read_reaction_centroids(folder: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Read (k, 5) float32 centroids.

    Raises BadCheckpoint if the file is missing or damaged, or if its shape is not ``shape``.
    """
    return _read_array(folder / _REACTIONS_FILE, shape)


def write_vocabulary(folder: Path, terms: Sequence[str], idf: npt.NDArray[np.float64]) -> None:
    """Write the words of TF-IDF features and the (n_terms,) float64 idf of each."""
    (folder / _VOCABULARY_FILE).write_text(json.dumps(list(terms), ensure_ascii=False), encoding="utf-8")
    np.save(folder / _IDF_FILE, idf)


def read_vocabulary(folder: Path) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Read (words, their (n_terms,) float64 idf). Raises BadCheckpoint if their lengths differ."""
    vocabulary, path = folder / _VOCABULARY_FILE, folder / _IDF_FILE
    terms: Any = _loaded(vocabulary, lambda: json.loads(vocabulary.read_bytes()))
    idf = _loaded(path, lambda: np.load(path, allow_pickle=False))
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise BadCheckpoint(f"{vocabulary}: not a list of words: {_REMEDY}")
    if idf.shape != (len(terms),):
        raise BadCheckpoint(f"{folder}: {len(terms)} terms, but idf of shape {idf.shape}: {_REMEDY}")
    return terms, idf.astype(np.float64)


def _read_array(path: Path, shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    array: npt.NDArray[np.float32] = _loaded(
        path, lambda: np.load(path, allow_pickle=False).astype(np.float32)
    )
    _require_shape(path, array.shape, shape)
    _require_finite(path, array)
    return array


def _loaded(path: Path, load: Callable[[], T]) -> T:
    try:
        return load()
    except FileNotFoundError as error:
        raise BadCheckpoint(f"{path}: missing; copy the folder whole, or {_REMEDY}") from error
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, RecursionError) as error:
        raise BadCheckpoint(f"{path}: damaged ({error}): {_REMEDY}") from error


def _require_shape(path: Path, actual: tuple[int, ...], shape: tuple[int, int]) -> None:
    if actual != shape:
        raise BadCheckpoint(f"{path}: centroids of shape {actual}, expected {shape}: {_REMEDY}")


def _require_finite(path: Path, values: npt.NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise BadCheckpoint(f"{path}: centroids are not finite numbers: {_REMEDY}")
