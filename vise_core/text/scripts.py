"""Writing systems: Unicode folding that keeps letters, and words of scripts without spaces between words."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import regex

# Invisible characters that could hide a word from the vocabulary: format characters, fillers of Hangul, variants of
# ideographs. Joiners and the zero-width space are not among them: they spell or separate words.
_INVISIBLE = regex.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0100-\U000e01ef]"
)
_VARIANTS = regex.compile("[\U0001f3fb-\U0001f3ff\ufe00-\ufe0f]")
_JOINERS = "\u200c\u200d"
# Joiners spell words of these scripts and build emoji; elsewhere they only hide a word.
_STRAY_JOINER = regex.compile(
    r"(?<![\p{Arabic}\p{Syriac}\p{Mongolian}\p{Nko}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}\p{Tamil}"
    r"\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Tibetan}\p{Khmer}\p{Myanmar}\p{Extended_Pictographic}]\p{M}*)"
    rf"[{_JOINERS}]+"
)
# Curly and spacing ones, as keyboards of many countries write them.
_APOSTROPHES = regex.compile("[\u00b4\u02bc\u2018\u2019\u201b\u2032\uff07]")

# Compatibility folding (NFKC) would make the letters ㅋㅋㅋ parts of syllables, split characters such as ำ of น้ำ, and
# turn emoji such as ™ and ㊗ into letters.
_KEPT = (
    "\u3131-\u318e\u0e33\u0eb3\u0edc\u0edd"
    "\u203c\u2049\u2122\u2139\u24c2\u3297\u3299\U0001f201\U0001f202\U0001f21a\U0001f22f\U0001f232-\U0001f23a"
    "\U0001f250\U0001f251"
)
_ANY_KEPT = regex.compile(f"[{_KEPT}]")
_FOLDED = regex.compile(f"[^{_KEPT}]+")
_HALF_WIDTH = {
    code: int(unicodedata.decomposition(chr(code)).split()[1], 16)
    for code in range(0xFFA1, 0xFFDD)
    if unicodedata.decomposition(chr(code))
}
_ANY_HALF_WIDTH = regex.compile("[\uffa1-\uffdc]")
# Parts of syllables that form no whole syllable become letters again.
_PARTS = {
    int(unicodedata.decomposition(chr(code)).split()[1], 16): code
    for code in range(0x3131, 0x318F)
    if unicodedata.decomposition(chr(code))
} | dict(
    zip(
        range(0x11A8, 0x11C3), map(ord, "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"), strict=True
    )
)
# Includes letters in circles and brackets, which folding unpacks.
_ANY_PART = regex.compile("[\u1100-\u11ff\u3200-\u321e\u3260-\u327e\ua960-\ua97c\ud7b0-\ud7fb]")
_SPLIT_AM = {"\u0e4d\u0e32": "\u0e33", "\u0ecd\u0eb2": "\u0eb3"}


def fold(text: str, *, variants: bool = False) -> str:
    """Fold compatibility characters (NFKC) but keep letters, unify apostrophes, and drop invisible characters.

    ``variants`` keeps skin tones and variation selectors, for people to read.
    """
    # Searching the few distinct characters first is fast, since most texts need no change.
    distinct = "".join(set(text))
    dropped = _INVISIBLE.findall(distinct)
    if not variants:
        dropped += _VARIANTS.findall(distinct)
    for character in dropped:
        text = text.replace(character, "")
    if "\u200c" in distinct or "\u200d" in distinct:
        text = _STRAY_JOINER.sub("", text)
    for apostrophe in _APOSTROPHES.findall(distinct):
        text = text.replace(apostrophe, "'")
    if _ANY_HALF_WIDTH.search(distinct):
        text = text.translate(_HALF_WIDTH)
    if _ANY_KEPT.search(distinct) or _ANY_HALF_WIDTH.search(distinct):
        text = _FOLDED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    else:
        text = unicodedata.normalize("NFKC", text)
    if _ANY_PART.search(distinct):
        text = text.translate(_PARTS)
    for parts, whole in _SPLIT_AM.items():
        text = text.replace(parts, whole)
    return text


# Chinese and Japanese: characters in pairs, as Lucene's CJKBigramFilter makes them.
_PAIRS = r"[\p{Han}\p{Hiragana}\p{Katakana}\u30FC\u3005-\u3007][\p{Han}\p{Hiragana}\p{Katakana}\u30FC\u3005-\u3007\p{M}]*+"
# Line break class SA of Unicode: grapheme clusters, in pairs.
_PARTED = (
    r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Viet}\p{Tai_Tham}\p{Ahom}]"
    r"[\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Viet}\p{Tai_Tham}\p{Ahom}\p{M}"
    rf"{_JOINERS}]*+"
)
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Viet}"
    r"\p{Tai_Tham}\p{Ahom}]"
)
_RUNS = regex.compile(
    rf"(?P<unspaced>{_PAIRS}|{_PARTED})"
    rf"|(?:(?!{_UNSPACED.pattern})[\p{{L}}\p{{M}}\p{{N}}'{_JOINERS}\u00B7\u05F3\u05F4])++"
)
# Unicode blocks that contain all of these scripts, as a faster first search.
_BLOCKS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19ff\u1a20-\u1aaf\u2e80-\u312f\u3190-\u9fff\ua9e0-\ua9ff"
    "\uaa60-\uaadf\uf900-\ufaff\U000116d0-\U000116ff\U00011700-\U0001174f\U00016fe0-\U00016fff"
    "\U0001aff0-\U0001b16f\U0001f200-\U0001f2ff\U00020000-\U0003ffff]"
)
_CLUSTER = regex.compile(r"\X")


def has_unspaced_script(text: str) -> bool:
    """Return True if the text may contain a script without spaces between words."""
    return _BLOCKS.search(text) is not None


def character_pairs(tokens: list[str]) -> list[str]:
    """Replace each run of a script without spaces by its overlapping pairs of characters; a single one stays."""
    pairs: list[str] = []
    for token in tokens:
        if token.isascii() or _UNSPACED.search(token) is None:
            pairs.append(token)
            continue
        for run in _RUNS.finditer(token):
            if run["unspaced"] is None:
                if word := run[0].strip(f"'{_JOINERS}\u00b7\u05f3\u05f4"):
                    pairs.append(word)
                continue
            clusters = _CLUSTER.findall(run[0])
            if len(clusters) == 1:
                pairs += clusters
            else:
                pairs += [left + right for left, right in pairwise(clusters)]
    return pairs
