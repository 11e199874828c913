"""Comments to words, emoji included.

Emoji are words (they carry most of a reaction), and so are words of every script. Links, mentions and mail
addresses become one token each, so that neither a name nor an address ever enters a vocabulary (method 7, trap 11).

Choices that are ours: NFKC folding; skin tones and variation selectors are dropped, so that 👍🏽 and 👍 are one
word; runs of three or more equal letters are squashed to two ("soooo" → "soo"); hashtags keep their word; a bare
"name.tld" is a link for a few well-known top-level domains, and for any of them where a path follows.

There are two versions, and a clusterer says which it was made with. ``words-2``: every apostrophe is one, so that
don't and don’t are one word; ㅋㅋㅋ stays letters; Chinese, Japanese, Thai, Lao, Khmer and Burmese, which have no spaces
between words, become overlapping pairs of characters (``scripts``). ``words-1``: their sentences are one word each,
NFKC alone folds. For ASCII both are the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import regex

from vise_core.specs.cluster import WORDS, Words

from .scripts import fold, parted, without_spaces

LINK = "<link>"
MENTION = "<mention>"

# Format characters that nobody sees and that could hide a name from the patterns below. Neither of the joiners is
# among them: ZWJ builds emoji, and both spell words of Persian and of Indic scripts.
_UNSEEN = re.compile("[\u00ad\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
_VARIANTS = re.compile("[\U0001f3fb-\U0001f3ff\ufe00-\ufe0f]")
_LETTER = re.compile(r"[^\W\d_]")
_STRETCHED = re.compile(rf"({_LETTER.pattern})\1{{2,}}")
# One pass finds links and mentions together: a link may hold an @, and a mention may look like a domain.
_PATTERN = (
    r"(?P<link>"
    r"{scheme}[a-z][a-z0-9+.-]*+://\S+"
    r"|(?<!\w)w{2,}\.\w\S*"
    r"|//[\w-]++\.\S+"
    r"|(?<![\w.@-])(?:[\w-]++\.)+(?:"
    r"[a-z]{2,}+(?::\d+)?+/\S*"
    r"|(?:com|org|net|edu|gov|info|biz|io|ly|tv|me|co|app|dev|gg)(?:\.[a-z]{2})?\b(?![@-]))"
    r")"
    # A mail address, or an @ and a name.
    r"|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+|@++[\u200B-\u200D]*+\w(?:[\w.-]*\w)?"
)
_PRIVATE: dict[Words, regex.Pattern[str]] = {
    "words-1": regex.compile(_PATTERN.replace("{scheme}", r"\b"), regex.IGNORECASE),
    # A link may follow a word of another script without a space.
    "words-2": regex.compile(_PATTERN.replace("{scheme}", "(?<![a-z0-9+.-])"), regex.IGNORECASE),
}
# Every match of _PRIVATE holds one of these; most comments do not, and are spared the slow search.
_HINT = re.compile(r"[@/]|\.\w")
END = "\0"
"""Stands between the comments of a batch. No pattern reaches over the line breaks around it."""
_BETWEEN = f"\n{END}\n"
_ASCII_TOKEN = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z]+)*|<link>|<mention>|\0")
# A keycap, a word (with inner apostrophe or joiner), a flag, a flag of a region, an emoji or a sequence of them
# joined by ZWJ, or a placeholder. Keycaps come before words, since U+20E3 is a mark.
_TOKENS = (
    r"\0|[0-9#*]\u20E3"
    r"|[\p{L}\p{M}\p{N}]++(?:[{inner}][\p{L}\p{M}]++)*+"
    r"|[\U0001F1E6-\U0001F1FF]{2}"
    r"|\U0001F3F4[\U000E0020-\U000E007E]++\U000E007F"
    r"|\p{Extended_Pictographic}(?:\u200D\p{Extended_Pictographic})*+"
    r"|<link>|<mention>"
)
_TOKEN: dict[Words, regex.Pattern[str]] = {
    "words-1": regex.compile(_TOKENS.replace("{inner}", r"'’\u200C\u200D")),
    # Of Catalan and Hebrew too.
    "words-2": regex.compile(_TOKENS.replace("{inner}", r"'\u200C\u200D\u00B7\u05F3\u05F4")),
}


def normalise(comment: str, *, lowercase: bool = True, words: Words = WORDS) -> str:
    """The comment with links and mentions replaced and spelling folded. Idempotent."""
    if not comment.isascii():
        comment = _fold(comment, words)
    if lowercase:
        comment = _lower(comment, words)
    # Squashed before the search for links, which must not find on a second pass what it missed on the first.
    comment = _STRETCHED.sub(r"\1\1", comment)
    if _HINT.search(comment):
        comment = _PRIVATE[words].sub(_placeholder, comment)
    return comment


def tokenize(comment: str, *, lowercase: bool = True, words: Words = WORDS) -> list[str]:
    """Words, emoji and placeholders of a comment, in order; empty where it has none."""
    text = normalise(comment, lowercase=lowercase, words=words)
    tokens = _ASCII_TOKEN.findall(text) if text.isascii() else _found(text, words)
    return [token for token in tokens if token != END]


def tokenize_batch(
    comments: Sequence[str], *, lowercase: bool = True, words: Words = WORDS
) -> Iterator[tuple[list[int], list[str]]]:
    """The tokens of many comments, in a third of the time: (which comments, their tokens with END between two).

    Comments come in groups that are searched as one text; the tokens of each are those of ``tokenize``.
    """
    plain: list[int] = []
    other: list[int] = []
    for i, comment in enumerate(comments):
        (plain if comment.isascii() else other).append(i)
    for group in (plain, other):
        if not group:
            continue
        text = _BETWEEN.join([comments[i] for i in group])
        if text.count(END) != len(group) - 1:  # A comment holds the mark itself.
            for i in group:
                yield [i], tokenize(comments[i], lowercase=lowercase, words=words)
            continue
        if group is other:
            text = _fold(text, words)
        text = _squash(_lower(text, words) if lowercase else text)
        pieces = text.split(_BETWEEN)
        for j, piece in enumerate(pieces):
            if _HINT.search(piece):
                pieces[j] = _PRIVATE[words].sub(_placeholder, piece)
        text = _BETWEEN.join(pieces)
        yield group, _ASCII_TOKEN.findall(text) if group is plain else _found(text, words)


def _fold(text: str, words: Words) -> str:
    if words == "words-2":
        return fold(text)
    # Dropped before folding: a selector between a letter and its accent would keep them apart.
    return unicodedata.normalize("NFKC", _VARIANTS.sub("", _UNSEEN.sub("", text)))


def _lower(text: str, words: Words) -> str:
    text = text.lower()
    # Of the Turkish capital İ a dot is left, which folding would move behind other marks.
    if words == "words-2" and "i\u0307" in text:
        text = unicodedata.normalize("NFC", text.replace("i\u0307", "i"))
    return text


def _found(text: str, words: Words) -> list[str]:
    tokens = _TOKEN[words].findall(text)
    return parted(tokens) if words == "words-2" and without_spaces(text) else tokens


def _squash(text: str) -> str:
    """Runs of three or more equal letters cut to two: what ``_STRETCHED`` does, on all letters at once."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    third = np.zeros(len(codes), dtype=bool)
    third[2:] = (codes[2:] == codes[1:-1]) & (codes[1:-1] == codes[:-2])
    repeated = np.unique(codes[third])
    letters = [code for code in repeated.tolist() if _LETTER.fullmatch(chr(code))]
    if not letters:
        return text
    kept = codes[~(third & np.isin(codes, letters))]
    return kept.tobytes().decode("utf-32-le", "surrogatepass")


def _placeholder(match: regex.Match[str]) -> str:
    return f" {LINK} " if match["link"] else f" {MENTION} "


def redact(comment: str, *, words: Words = WORDS) -> str:
    """The comment as it may be shown to people: links and mentions replaced, the rest nearly as written.

    Width and ligatures are folded (NFKC), so that a full-width @ hides nothing; case and skin tones stay.
    """
    if words == "words-2":
        folded = fold(comment, variants=True)
    else:
        folded = unicodedata.normalize("NFKC", _UNSEEN.sub("", comment))
    return _PRIVATE[words].sub(lambda m: LINK if m["link"] else MENTION, folded)
