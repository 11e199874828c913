"""Short comments whose words are as unevenly frequent as in real ones (Zipf's law), for benchmarks of clustering."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

MEAN_WORDS = 7


def word_counts(comments: int, vocabulary: int, seed: int) -> sparse.csr_matrix:
    """(comments, vocabulary) float32 CSR of word counts; 1 + Poisson words a comment, at least one."""
    rng = np.random.default_rng(seed)
    shares = 1 / np.arange(1, vocabulary + 1)
    lengths = 1 + rng.poisson(MEAN_WORDS - 1, comments)
    edges = np.cumsum(shares / shares.sum())
    words = np.minimum(np.searchsorted(edges, rng.random(lengths.sum())), vocabulary - 1)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    counts = sparse.csr_matrix(
        (np.ones(len(words), np.float32), words.astype(np.int32), starts), shape=(comments, vocabulary)
    )
    counts.sum_duplicates()
    return counts


def tfidf(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """float32 CSR, rows of L2 norm 1."""
    found = sparse.csr_matrix(TfidfTransformer().fit_transform(counts), dtype=np.float32)
    found.sort_indices()
    return found


def as_text(counts: sparse.csr_matrix) -> list[str]:
    """Each row as a comment: word 17 is written "wr" (letters only, so that nothing is squashed or split)."""
    names = [_name(word) for word in range(counts.shape[1])]
    return [
        " ".join(names[word] for word in counts.indices[counts.indptr[i] : counts.indptr[i + 1]])
        for i in range(counts.shape[0])
    ]


def _name(number: int) -> str:
    letters = "w"
    while True:
        number, digit = divmod(number, 21)
        letters += "bcdfghjklmnpqrstvxyza"[digit] + "o"
        if not number:
            return letters
