import pytest
from hypothesis import given
from hypothesis import strategies as st

from vise_core.engagement.tokenize import LINK, MENTION, normalise, redact, tokenize


@pytest.mark.parametrize(
    ("comment", "tokens"),
    [
        ("What an adorable dog!", ["what", "an", "adorable", "dog"]),
        ("Sooooo cute!! 😍😍", ["soo", "cute", "😍", "😍"]),
        ("👍🏽 and 👍 are one word", ["👍", "and", "👍", "are", "one", "word"]),
        ("❤️", ["❤"]),
        ("family 👨‍👩‍👧 in 🇫🇷", ["family", "👨‍👩‍👧", "in", "🇫🇷"]),
        ("@Bob.Smith look: https://x.example/a?b=1", [MENTION, "look", LINK]),
        ("write to me@home.example", ["write", "to", MENTION]),
        ("#NoFilter don’t", ["nofilter", "don’t"]),
        ("かわいい犬 привет مرحبا", ["かわいい犬", "привет", "مرحبا"]),
        ("ﬁne Ｗｉｄｅ", ["fine", "wide"]),
        ("... !!! ---", []),
        ("", []),
    ],
)
def test_words_emoji_and_placeholders(comment: str, tokens: list[str]) -> None:
    assert tokenize(comment) == tokens


@given(st.text(max_size=80))
def test_normalising_twice_changes_nothing(comment: str) -> None:
    once = normalise(comment)
    assert normalise(once) == once


@given(st.lists(st.sampled_from(["dog", "😍", "❤", "犬", "soo"]), max_size=8))
def test_every_word_and_emoji_survives(words: list[str]) -> None:
    assert tokenize(" ".join(words)) == words


@given(st.from_regex(r"[a-z]{3,10}", fullmatch=True), st.text(alphabet="abc !😀", max_size=20))
def test_no_mention_or_link_survives(name: str, rest: str) -> None:
    comment = f"{rest} @{name}zq https://{name}zq.example/path {rest}"
    assert not any(name + "zq" in token for token in tokenize(comment))
    assert name + "zq" not in redact(comment)
