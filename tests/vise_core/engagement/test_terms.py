import numpy as np
import pytest

from vise_core.engagement.features.terms import characteristic_terms, heaviest_terms

COMMENTS = ["so sad", "sad day", "so funny", "funny so so"]


def test_characteristic_words_by_hand() -> None:
    terms = characteristic_terms(COMMENTS, np.array([0, 0, 1, 1], dtype=np.int32), 3, 2)
    # Words of the clusters: 4, 5, 0, on average 3. Counts: sad 2, so 4, day 1, funny 2.
    assert terms[0] == [
        ("sad", pytest.approx(2 / 4 * np.log(1 + 3 / 2))),
        ("day", pytest.approx(1 / 4 * np.log(1 + 3 / 1))),
    ]
    assert terms[1][0] == ("funny", pytest.approx(2 / 5 * np.log(1 + 3 / 2)))
    assert terms[1][1] == ("so", pytest.approx(3 / 5 * np.log(1 + 3 / 4)))
    assert terms[2] == []


def test_comments_without_a_word_have_no_terms() -> None:
    assert characteristic_terms(["...", ""], np.array([0, 1], dtype=np.int32), 2, 5) == [[], []]


def test_of_words_the_heaviest_columns_of_the_centroid() -> None:
    centroids = np.array([[0.1, 0, 0.7], [0, 0, 0]], dtype=np.float32)
    terms = heaviest_terms(centroids, ["a", "b", "c"], 5)
    assert [[word for word, _ in row] for row in terms] == [["c", "a"], []]
