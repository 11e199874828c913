"""Synthetic short comments with word frequencies by Zipf's law, for benchmarks of clustering."""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

MEAN_WORDS = 7


def word_counts(comments: int, vocabulary: int, seed: int) -> sparse.csr_matrix:
    """Return word counts, (comments, vocabulary) float32 CSR, with 1 + Poisson words a comment."""
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
    """Return TF-IDF weights, float32 CSR with rows of L2 norm 1."""
    weights = sparse.csr_matrix(TfidfTransformer().fit_transform(counts), dtype=np.float32)
    weights.sort_indices()
    return weights


def as_text(counts: sparse.csr_matrix) -> list[str]:
    """Return each row as a comment. Words are letters only, so that the tokenizer neither merges nor splits them."""
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
