"""Bag of words with TF-IDF weights: the comment feature extractor of the paper (Sec. 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import sparse

from vise_core.errors import BadInput
from vise_core.formats.clusterer import read_vocabulary, write_vocabulary
from vise_core.specs.cluster import TfidfSpec
from vise_core.text.tokenize import END, tokenize, tokenize_batch

_UNKNOWN, _END = -1, -2


class TfidfExtractor:
    """Vocabulary and idf, fitted once on the cluster subset and then frozen.

    Attributes
    ----------
    terms: the vocabulary; column i of every matrix is terms[i].
    idf: (n_terms,) float64, smooth idf as scikit-learn computes it.
    """

    def __init__(self, terms: Sequence[str], idf: npt.NDArray[np.float64], spec: TfidfSpec) -> None:
        self.terms = list(terms)
        self.idf = idf
        self.spec = spec
        self._columns = {term: column for column, term in enumerate(self.terms)} | {END: _END}

    @classmethod
    def fit(cls, comments: Iterable[str], spec: TfidfSpec) -> TfidfExtractor:
        """Learn vocabulary and idf. Raises BadInput if no word occurs in ``min_df`` comments."""
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

        counter = CountVectorizer(
            analyzer=partial(tokenize, lowercase=spec.lowercase),
            max_features=spec.max_features,
            min_df=spec.min_df,
            dtype=np.float64,
        )
        try:
            counts = counter.fit_transform(comments)
        except ValueError as error:
            raise BadInput(
                f"comments: no word occurs in min_df={spec.min_df} comments of the cluster subset; "
                "ingest more posts, raise subset.cluster_fraction or lower comments.extractor.min_df"
            ) from error
        idf = TfidfTransformer(sublinear_tf=spec.sublinear_tf).fit(counts).idf_
        return cls(counter.get_feature_names_out().tolist(), np.asarray(idf, dtype=np.float64), spec)

    @property
    def dim(self) -> int:
        """The size of the vocabulary."""
        return len(self.terms)

    def known(
        self, comments: Sequence[str], on_progress: Callable[[int], None] | None = None
    ) -> tuple[npt.NDArray[np.int64], sparse.csr_matrix]:
        """Return (indices (m,) of comments with a word of the vocabulary, their rows of ``transform``)."""
        rows = self.transform(comments)
        kept = np.flatnonzero(np.diff(rows.indptr))
        if on_progress is not None:
            on_progress(len(comments))
        return kept, rows[kept]

    def transform(self, comments: Iterable[str]) -> sparse.csr_matrix:
        """Return (n_comments, n_terms) float32 CSR rows of L2 norm 1; a comment without a known word is an empty row."""
        counts = self._count(list(comments))
        if self.spec.sublinear_tf:
            counts.data = np.log(counts.data) + 1
        counts.data *= self.idf[counts.indices]
        norms = np.sqrt(np.bincount(_rows(counts), weights=counts.data**2, minlength=counts.shape[0]))
        norms[norms == 0] = 1
        counts.data /= norms[_rows(counts)]
        return counts.astype(np.float32)

    def _count(self, comments: list[str]) -> sparse.csr_matrix:
        """Return the counts of each term of the vocabulary in each comment, (n_comments, n_terms) float64 CSR."""
        rows, columns = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
        column_of = self._columns.get
        for group, tokens in tokenize_batch(comments, lowercase=self.spec.lowercase):
            ids = np.array([column_of(token, _UNKNOWN) for token in tokens], dtype=np.int32)
            owners = np.asarray(group)[np.cumsum(ids == _END)]
            kept = ids >= 0
            rows.append(owners[kept])
            columns.append(ids[kept])
        at, terms = np.concatenate(rows), np.concatenate(columns)
        counts = sparse.csr_matrix(
            (np.ones(len(at)), (at, terms)), shape=(len(comments), len(self.terms)), dtype=np.float64
        )
        counts.sum_duplicates()
        return counts

    def save(self, folder: Path) -> None:
        """Write the vocabulary and its idf into the clusterer's folder."""
        write_vocabulary(folder, self.terms, self.idf)

    @classmethod
    def load(cls, folder: Path, spec: TfidfSpec) -> TfidfExtractor:
        """Load vocabulary and idf. Raises BadCheckpoint if the two files do not belong together."""
        return cls(*read_vocabulary(folder), spec)


def _rows(matrix: sparse.csr_matrix) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
