"""Words of many writing systems, on the first article of the Universal Declaration of Human Rights in each."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from vise_core.engagement.clusterer import Clusterer
from vise_core.engagement.clustering.kmeans import fit_kmeans
from vise_core.engagement.features.tfidf import TfidfExtractor
from vise_core.formats.post import Post
from vise_core.specs.cluster import ClusterSpec, TfidfSpec
from vise_core.text import scripts
from vise_core.text.tokenize import LINK, MENTION, redact, tokenize

HERE = Path(__file__).parent
UDHR = json.loads((HERE / "udhr.json").read_text())
TEXTS, READ = UDHR["texts"], UDHR["words"]


@pytest.mark.parametrize(
    ("comment", "tokens"),
    [
        ("don't, don’t, don‘t, donʼt, don´t and don＇t", ["don't"] * 5 + ["and", "don't"]),
        ("‘quoted’ “words” l’été", ["quoted", "words", "l'été"]),
        ("well‑known well-known soft\u00adhyphen", ["well", "known", "well", "known", "softhyphen"]),
        ("ㅋㅋㅋ ㅠㅠ", ["ㅋㅋ", "ㅠㅠ"]),
        ("ᄏᄏ ﾻﾻ ㅋㅋ", ["ㅋㅋ", "ㅋㅋ", "ㅋㅋ"]),
        (unicodedata.normalize("NFD", "한국어 좋아요ㅎㅎ"), ["한국어", "좋아요ㅎㅎ"]),
        ("ㅋㅏ", ["ㅋㅏ"]),
        ("かわいい犬", ["かわ", "わい", "いい", "い犬"]),
        ("犬", ["犬"]),
        ("コーヒー☕ｶﾞﾝﾊﾞﾚ", ["コー", "ーヒ", "ヒー", "☕", "ガン", "ンバ", "バレ"]),
        ("iPhone15を買った", ["iphone15", "を買", "買っ", "った"]),
        ("看http://t.cn/abc 好", ["看", LINK, "好"]),
        ("葛\U000e0100城", ["葛城"]),
        ("น้ำใจ", ["น้ำใ", "ใจ"]),
        ("น\u0e49\u0e4d\u0e32", ["น้\u0e33"]),
        ("ສະບາຍດີ", ["ສະ", "ະບ", "ບາ", "າຍ", "ຍດີ"]),
        ("می‌خواهم क्‍ष", ["می‌خواهم", "क्‍ष"]),
        ("d\u200dog c\u200cat", ["dog", "cat"]),
        ("पानी में", ["पानी", "में"]),
        ("col·legi צה״ל", ["col·legi", "צה״ל"]),
        ("e\u0301te\u0301 été", ["été", "été"]),
        ("İstanbul ISTANBUL", ["istanbul", "istanbul"]),
        ("Ｗｉｄｅ ﬁne", ["wide", "fine"]),
        ("Apple™ ㊗️ ‼️ 🈚", ["apple", "™", "㊗", "‼", "🈚"]),
        ("👨‍👩‍👧👍🏽🇫🇷🏴󠁧󠁢󠁥󠁮󠁧󠁿1️⃣❤️‍🔥", ["👨‍👩‍👧", "👍", "🇫🇷", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1⃣", "❤‍🔥"]),
        (
            "@bob.smith https://x.example/a?b=1 me@home.example #NoFilter",
            [MENTION, LINK, MENTION, "nofilter"],
        ),
        ("a\u3164b\u2060c", ["abc"]),
    ],
)
def test_words_by_hand(comment: str, tokens: list[str]) -> None:
    assert tokenize(comment) == tokens


def found(language: str) -> float:
    """The share of a reader's words that a search finds: all tokens of the word are tokens of the text."""
    text = set(tokenize(TEXTS[language]))
    return float(np.mean([text.issuperset(tokenize(word)) for word in READ[language]]))


@pytest.mark.parametrize("language", TEXTS)
def test_the_words_of_a_real_text_are_found(language: str) -> None:
    assert found(language) == 1


@pytest.mark.parametrize("language", ["zh", "ja"])
def test_pairs_are_those_of_an_independent_counter(language: str) -> None:
    expected: list[str] = []
    pairs = CountVectorizer(analyzer="char", ngram_range=(2, 2), lowercase=False).build_analyzer()
    for phrase in TEXTS[language].replace("，", "。").replace("、", "。").split("。"):
        expected += pairs(phrase)
    assert tokenize(TEXTS[language]) == expected


@pytest.mark.parametrize("language", ["en", "ko", "ar", "hi", "ru", "el"])
def test_a_script_with_spaces_keeps_whole_words(language: str) -> None:
    text = unicodedata.normalize("NFC", TEXTS[language]).lower()
    for mark in ".,।":
        text = text.replace(mark, " ")
    assert tokenize(TEXTS[language]) == text.split()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("language", TEXTS)
def test_the_normal_form_of_a_comment_does_not_matter(language: str, form: str) -> None:
    assert tokenize(unicodedata.normalize(form, TEXTS[language])) == tokenize(TEXTS[language])


def test_people_read_letters_too() -> None:
    assert redact("ㅋㅋㅋ น้ำ 👍🏽 ❤️ @bob") == f"ㅋㅋㅋ น้ำ 👍🏽 ❤️ {MENTION}"


@given(st.text(alphabet="日本語かなカナーนำ้ㅋ가’'a1\u200d\u200c 。👍", max_size=20))
def test_no_letter_is_lost(comment: str) -> None:
    letters = {c for c in comment if unicodedata.category(c) == "Lo"}
    assert letters <= set("".join(tokenize(comment)))


def test_a_clusterer_labels_the_same_after_it_was_saved(tmp_path: Path) -> None:
    comments = [*TEXTS.values()] * 2
    spec = ClusterSpec.model_validate(
        {"comments": {"extractor": {"min_df": 1}, "kmeans": {"k": 5}}, "reactions": None}
    )
    assert spec.comments is not None
    assert isinstance(spec.comments.extractor, TfidfSpec)
    extractor = TfidfExtractor.fit(comments, spec.comments.extractor)
    _, rows = extractor.known(comments)
    centroids = fit_kmeans(rows, spec.comments.kmeans, 0, "comments").centroids
    posts = [Post(f"p{i}", (comment,), (0, 0, 0, 0, 0)) for i, comment in enumerate(comments)]
    clusterer = Clusterer(spec, extractor, centroids, None, False)
    clusterer.save(tmp_path)
    assert Clusterer.load(tmp_path).label(posts) == clusterer.label(posts)
    assert "自由" in extractor.terms


def test_the_quick_look_at_a_text_misses_no_script() -> None:
    for code in range(0x110000):
        character = unicodedata.normalize("NFKC", chr(code))
        if scripts._UNSPACED.search(character):
            assert scripts.has_unspaced_script(character), hex(code)
