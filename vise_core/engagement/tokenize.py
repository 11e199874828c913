"""Comments to words, emoji included.

Emoji are words (they carry most of a reaction), and so are words of every script. Links and mentions become one
token each, so that neither a name nor an address ever enters a vocabulary. Choices that are ours: NFKC folding,
skin tones and variation selectors dropped (one emoji, one word), runs of three or more equal letters squashed
to two ("soooo" → "soo"), hashtags keep their word.
"""

from __future__ import annotations

import unicodedata

import regex

LINK = "<link>"
MENTION = "<mention>"

_LINK = regex.compile(
    r"(?:https?://|www\.)\S+|\b[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|io|ly|me|co)(?:/\S*)?\b", regex.I
)
_MENTION = regex.compile(r"(?<![\w.])@[\w.]+|\b[\w.+-]+@[\w-]+\.[\w.]+\b")
_MODIFIERS = regex.compile(r"[\U0001F3FB-\U0001F3FF\uFE0E\uFE0F]")
_STRETCHED = regex.compile(r"(\p{L})\1{2,}")
# A flag, a keycap, an emoji sequence joined by ZWJ, a word (with inner apostrophe), or a placeholder.
_TOKEN = regex.compile(
    r"<link>|<mention>"
    r"|[\U0001F1E6-\U0001F1FF]{2}"
    r"|[0-9#*]\u20E3"
    r"|(?:\p{Extended_Pictographic}(?<![0-9#*©®™]))(?:\u200D\p{Extended_Pictographic})*"
    r"|[\p{L}\p{M}\p{N}]+(?:['’][\p{L}\p{M}]+)*"
)


def normalise(comment: str, *, lowercase: bool = True) -> str:
    """The comment with links and mentions replaced and spelling folded. Idempotent."""
    if not comment.isascii():
        comment = _MODIFIERS.sub("", unicodedata.normalize("NFKC", comment))
    if "@" in comment:
        comment = _MENTION.sub(f" {MENTION} ", comment)
    if "." in comment or "://" in comment:
        comment = _LINK.sub(f" {LINK} ", comment)
    if lowercase:
        comment = comment.lower()
    return _STRETCHED.sub(r"\1\1", comment)


def tokenize(comment: str, *, lowercase: bool = True) -> list[str]:
    """Words, emoji and placeholders of a comment, in order; empty where it has none."""
    return _TOKEN.findall(normalise(comment, lowercase=lowercase))


def redact(comment: str) -> str:
    """The comment as it may be shown to people: links and mentions replaced, the rest as written."""
    return _LINK.sub(LINK, _MENTION.sub(MENTION, comment))
