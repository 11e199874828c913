import pytest
from hypothesis import given
from hypothesis import strategies as st

from vise_core.text.tokenize import END, LINK, MENTION, normalise, redact, tokenize, tokenize_batch


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
        ("#NoFilter don’t", ["nofilter", "don't"]),
        ("かわいい犬 привет مرحبا", ["かわ", "わい", "いい", "い犬", "привет", "مرحبا"]),
        ("ﬁne Ｗｉｄｅ", ["fine", "wide"]),
        ("... !!! ---", []),
        ("", []),
    ],
)
def test_words_emoji_and_placeholders(comment: str, tokens: list[str]) -> None:
    assert tokenize(comment) == tokens


ODD = (
    "soooo goooood 1000000 ____ \U0001f602\U0001f602\U0001f602\U0001f602",
    "see https://a.example/b\0c @name and mail me@example.org",
    "\0",
    "ΟΔΟΣ",
    "\u0301accent first",
    "ｗｉｄｅ ＠ｎａｍｅ",
    "\ud800 alone",
    "AAAaaa!!! don't\n\nstop",
    "don’t ㅋㅋㅋㅋ 日本語です น้ำ ㊗\ufe0f d\u200dog",
    "ﾡﾡﾡ ᄏᄏᄏ \u0e4d\u0e32 看http://t.cn/x",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 \U0001f44d\U0001f3fd 1\ufe0f\u20e3",
)


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


@given(st.lists(st.one_of(st.text(), st.sampled_from(ODD)), max_size=12), st.booleans())
def test_a_batch_has_the_tokens_of_each_comment(comments: list[str], lowercase: bool) -> None:
    found: list[list[str]] = [[] for _ in comments]
    for group, tokens in tokenize_batch(comments, lowercase=lowercase):
        at = 0
        for token in tokens:
            if token == END:
                at += 1
            else:
                found[group[at]].append(token)
        assert at == len(group) - 1
    assert found == [tokenize(comment, lowercase=lowercase) for comment in comments]
