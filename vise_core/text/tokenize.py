"""Tokenize comments into words, emoji and placeholders.

Emoji are words, since they carry most of a reaction. Links, and mentions and mail addresses, become placeholders, so
that neither a name nor an address enters a vocabulary (method 7, trap 11).

Choices that are ours: NFKC folding (``scripts.fold``); every apostrophe is one character, so that don't and don’t are
one word; skin tones and variation selectors are dropped, so that 👍🏽 and 👍 are one word; runs of three or more equal
letters become two ("soooo" → "soo"); hashtags keep their word; a bare "name.tld" is a link for a few well-known
top-level domains, and for any of them where a path follows. Chinese, Japanese, Thai, Lao, Khmer and Burmese, which have
no spaces between words, become overlapping pairs of characters (``scripts.character_pairs``).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

import numpy as np
import regex

from .scripts import character_pairs, fold, has_unspaced_script

LINK = "<link>"
MENTION = "<mention>"

_LETTER = re.compile(r"[^\W\d_]")
_STRETCHED = re.compile(rf"({_LETTER.pattern})\1{{2,}}")
# One pass finds links and mentions together: a link may contain an @, and a mention may look like a domain.
_PRIVATE = regex.compile(
    r"(?P<link>"
    # A link may follow a word of another script without a space.
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*+://\S+"
    r"|(?<!\w)w{2,}\.\w\S*"
    r"|//[\w-]++\.\S+"
    r"|(?<![\w.@-])(?:[\w-]++\.)+(?:"
    r"[a-z]{2,}+(?::\d+)?+/\S*"
    r"|(?:com|org|net|edu|gov|info|biz|io|ly|tv|me|co|app|dev|gg)(?:\.[a-z]{2})?\b(?![@-]))"
    r")"
    # A mail address, or an @ and a name.
    r"|(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+|@++[\u200B-\u200D]*+\w(?:[\w.-]*\w)?",
    regex.IGNORECASE,
)
# Every match of _PRIVATE contains a match of this; most comments have none and skip the slow search.
_HINT = re.compile(r"[@/]|\.\w")
END = "\0"
"""Separates the comments of a batch. No pattern matches across the line breaks around it."""
_BETWEEN = f"\n{END}\n"
_ASCII_TOKEN = re.compile(r"[A-Za-z0-9]+(?:'[A-Za-z]+)*|<link>|<mention>|\0")
# A keycap, a word (with inner apostrophe or joiner), a flag, a flag of a region, an emoji or a sequence of them
# joined by ZWJ, or a placeholder. Keycaps come before words, since U+20E3 is a mark.
_TOKEN = regex.compile(
    r"\0|[0-9#*]\u20E3"
    # Inner characters: apostrophe, joiners, the Catalan middle dot, Hebrew geresh and gershayim.
    r"|[\p{L}\p{M}\p{N}]++(?:['\u200C\u200D\u00B7\u05F3\u05F4][\p{L}\p{M}]++)*+"
    r"|[\U0001F1E6-\U0001F1FF]{2}"
    r"|\U0001F3F4[\U000E0020-\U000E007E]++\U000E007F"
    r"|\p{Extended_Pictographic}(?:\u200D\p{Extended_Pictographic})*+"
    r"|<link>|<mention>"
)


def normalise(comment: str, *, lowercase: bool = True) -> str:
    """Replace links and mentions and fold the spelling. Idempotent."""
    if not comment.isascii():
        comment = fold(comment)
    if lowercase:
        comment = _lower(comment)
    # Shortened before the search for links, so that a second call finds no further links.
    comment = _STRETCHED.sub(r"\1\1", comment)
    if _HINT.search(comment):
        comment = _PRIVATE.sub(_placeholder, comment)
    return comment


def tokenize(comment: str, *, lowercase: bool = True) -> list[str]:
    """Return the words, emoji and placeholders of a comment, in order; empty where it has none."""
    text = normalise(comment, lowercase=lowercase)
    tokens = _ASCII_TOKEN.findall(text) if text.isascii() else _split(text)
    return [token for token in tokens if token != END]


def tokenize_batch(
    comments: Sequence[str], *, lowercase: bool = True
) -> Iterator[tuple[list[int], list[str]]]:
    """Yield (indices of comments, their tokens with END between two comments).

    The tokens of a comment are those of ``tokenize``, in a third of the time: a group of comments is searched as one
    text.
    """
    plain: list[int] = []
    other: list[int] = []
    for i, comment in enumerate(comments):
        (plain if comment.isascii() else other).append(i)
    for group in (plain, other):
        if not group:
            continue
        text = _BETWEEN.join([comments[i] for i in group])
        if text.count(END) != len(group) - 1:  # a comment contains END
            for i in group:
                yield [i], tokenize(comments[i], lowercase=lowercase)
            continue
        if group is other:
            text = fold(text)
        text = _shorten_runs(_lower(text) if lowercase else text)
        pieces = text.split(_BETWEEN)
        for j, piece in enumerate(pieces):
            if _HINT.search(piece):
                pieces[j] = _PRIVATE.sub(_placeholder, piece)
        text = _BETWEEN.join(pieces)
        yield group, _ASCII_TOKEN.findall(text) if group is plain else _split(text)


def _lower(text: str) -> str:
    text = text.lower()
    # Lower-casing the Turkish capital İ leaves a dot, which a second folding would move behind other marks.
    return unicodedata.normalize("NFC", text.replace("i\u0307", "i")) if "i\u0307" in text else text


def _split(text: str) -> list[str]:
    tokens = _TOKEN.findall(text)
    return character_pairs(tokens) if has_unspaced_script(text) else tokens


def _shorten_runs(text: str) -> str:
    """Shorten runs of three or more equal letters to two, as ``_STRETCHED`` does, with array operations."""
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


def redact(comment: str) -> str:
    """Return a comment for people to read, with links and mentions replaced and the rest nearly as written.

    Width and ligatures are folded (NFKC), so that a full-width @ hides nothing; case and skin tones stay.
    """
    text: str = _PRIVATE.sub(lambda m: LINK if m["link"] else MENTION, fold(comment, variants=True))
    return text
