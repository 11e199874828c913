import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from vise_core.engagement.clustering.kmeans import fit_kmeans
from vise_core.engagement.features.reactions import reaction_vectors
from vise_core.engagement.features.tfidf import TfidfExtractor
from vise_core.engagement.sampling import sample_comments
from vise_core.errors import BadCheckpoint, BadInput
from vise_core.specs.cluster import KMeansSpec, TfidfSpec
from vise_core.text.tokenize import tokenize


@pytest.mark.parametrize("sublinear", [False, True])
def test_tfidf_equals_scikit_learn(posts, sublinear) -> None:
    comments = [c for post in posts for c in post.comments]
    spec = TfidfSpec(max_features=15, sublinear_tf=sublinear)
    reference = TfidfVectorizer(analyzer=tokenize, max_features=15, min_df=2, sublinear_tf=sublinear)
    expected = reference.fit_transform(comments)

    extractor = TfidfExtractor.fit(comments, spec)

    assert extractor.terms == reference.get_feature_names_out().tolist()
    np.testing.assert_allclose(extractor.transform(comments).toarray(), expected.toarray(), rtol=1e-6)


def test_a_comment_with_no_known_word_is_an_empty_row_even_in_the_saved_copy(tmp_path) -> None:
    extractor = TfidfExtractor.fit(["good dog", "good cat", "😍 dog"], TfidfSpec(min_df=1))
    extractor.save(tmp_path)
    rows = TfidfExtractor.load(tmp_path, TfidfSpec(min_df=1)).transform(["zebra", "good dog", ""])
    assert np.diff(rows.indptr).tolist() == [0, 2, 0]
    assert (rows[1] != extractor.transform(["good dog"])[0]).nnz == 0


def test_no_frequent_word_says_what_to_change() -> None:
    with pytest.raises(BadInput, match=r"min_df=2.*cluster_fraction"):
        TfidfExtractor.fit(["one", "two", "three"], TfidfSpec(min_df=2))


def test_files_that_do_not_belong_together_are_refused(tmp_path) -> None:
    TfidfExtractor.fit(["a b", "b c"], TfidfSpec(min_df=1)).save(tmp_path)
    np.save(tmp_path / "idf.npy", np.ones(2))
    with pytest.raises(BadCheckpoint, match="3 terms"):
        TfidfExtractor.load(tmp_path, TfidfSpec())


@given(arrays(np.int64, st.tuples(st.integers(1, 6), st.just(5)), elements=st.integers(0, 10**9)))
def test_reactions_are_scikit_learns_l2_rows_and_free_of_popularity(counts) -> None:
    vectors = reaction_vectors(counts)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, normalize(counts.astype(np.float64)), atol=1e-6)
    np.testing.assert_allclose(reaction_vectors(counts * 3), vectors, atol=1e-6)


def test_reactions_by_hand() -> None:
    vectors = reaction_vectors([[3, 0, 0, 4, 0], [0, 0, 0, 0, 0]])
    np.testing.assert_allclose(vectors, [[0.6, 0, 0, 0.8, 0], [0, 0, 0, 0, 0]], rtol=1e-6)


@pytest.mark.parametrize("counts", [[[1, 2, 3]], [[1, 0, 0, 0, -1]]])
def test_bad_reaction_counts_are_refused(counts) -> None:
    with pytest.raises(BadInput, match=r"columns|negative"):
        reaction_vectors(counts)


@given(st.lists(st.text(max_size=5), max_size=30), st.integers(1, 10), st.text(min_size=1, max_size=8))
def test_the_same_post_always_gives_the_same_sample(comments, most, post_id) -> None:
    chosen = sample_comments(post_id, comments, most)
    assert len(chosen) == min(most, len(comments))
    assert chosen == sample_comments(post_id, comments, most)
    remaining = iter(comments)
    assert all(c in remaining for c in chosen), "a sample keeps the order of the comments"


def test_posts_and_seeds_give_different_samples() -> None:
    comments = [str(n) for n in range(1000)]
    samples = {tuple(sample_comments(p, comments, 100, s)) for p in ("a", "b") for s in (0, 1)}
    assert len(samples) == 4


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_reactions_and_rows_that_are_not_finite_are_rejected(value):
    counts = np.array([[1.0, 0, 0, 0, 0], [0, value, 0, 0, 0]])
    with pytest.raises(BadInput, match="row 1 are not finite"):
        reaction_vectors(counts)
    rows = np.array([[1.0, 0], [0, 1], [0, value]], np.float32)
    for each in (rows, csr_matrix(rows)):
        with pytest.raises(BadInput, match="reactions: the features hold NaN or infinity"):
            fit_kmeans(each, KMeansSpec(k=2), 0, "reactions")
