"""Generate noisy comments and reactions for an emotion.

Words and emoji come from vaderSentiment's lexicon (MIT), which people rated: stems select the words of an emotion,
their rating must have the emotion's sign, and emoji are selected by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random

import numpy as np

from vise_core.specs.posts.fields import REACTIONS
from vise_core.specs.tasks.catalogue import EMOTIONS

from .scenes import Scene

_STEMS: dict[str, tuple[str, ...]] = {
    "anger": ("angr", "anger", "furio", "hate", "rage", "outrag", "disgust", "annoy", "hostil", "mad"),
    "fear": ("fear", "scar", "terr", "afraid", "horr", "panic", "worr", "frighten", "danger", "threat"),
    "joy": ("joy", "happ", "fun", "laugh", "cheer", "glad", "delight", "smil", "lol", "haha"),
    "love": ("love", "ador", "cute", "sweet", "dear", "heart", "beaut", "lovely", "hug", "kiss"),
    "sadness": ("sad", "cry", "grie", "sorr", "tear", "lonel", "depress", "miss", "mourn", "heartbr"),
    "surprise": (
        "surpris",
        "amaz",
        "astonish",
        "wow",
        "wonder",
        "incredib",
        "stun",
        "impress",
        "omg",
        "brillian",
    ),
}
_EMOJI: dict[str, tuple[str, ...]] = {
    "anger": ("angry face", "pouting face", "pouting cat", "steam from nose"),
    "fear": ("fearful", "screaming", "anxious", "worried"),
    "joy": ("joy", "grinning", "rolling on the floor"),
    "love": ("heart-eyes", "red heart", "kissing", "two hearts", "sparkling heart"),
    "sadness": ("crying", "disappointed", "pensive", "broken heart"),
    "surprise": ("astonished", "open mouth", "hushed", "flushed"),
}
_NEGATIVE = {"anger", "fear", "sadness"}
_COMMON = [
    "the",
    "this",
    "that",
    "is",
    "so",
    "what",
    "a",
    "my",
    "your",
    "photo",
    "picture",
    "here",
    "just",
    "look",
    "who",
    "me",
    "and",
    "with",
    "for",
    "today",
    "one",
    "really",
]
_CHATTER = (
    "first",
    "check my page",
    "@friend.name look",
    "https://example.com/pic",
    "#photo",
    "ok",
    "nice pic",
    "👀",
)
_OTHER_SCRIPTS = ("かわいい", "привет", "que lindo", "très bien", "مرحبا", "哈哈")

# Mean share of each button (haha, sorry, angry, wow, love) by emotion: ours, a plausible guess.
_BUTTONS: dict[str, tuple[float, ...]] = {
    "anger": (0.07, 0.16, 0.62, 0.09, 0.06),
    "fear": (0.08, 0.30, 0.16, 0.40, 0.06),
    "joy": (0.52, 0.03, 0.03, 0.10, 0.32),
    "love": (0.08, 0.04, 0.02, 0.10, 0.76),
    "sadness": (0.04, 0.66, 0.12, 0.06, 0.12),
    "surprise": (0.16, 0.05, 0.05, 0.60, 0.14),
}


@dataclass(frozen=True)
class Lexicon:
    """Words and emoji by emotion, all from vaderSentiment's files."""

    words: dict[str, tuple[str, ...]]
    emoji: dict[str, tuple[str, ...]]


@cache
def lexicon() -> Lexicon:
    """Return the words and emoji of each emotion, read from vaderSentiment once."""
    files = resources.files("vaderSentiment")
    rated: dict[str, float] = {}
    for line in (files / "vader_lexicon.txt").read_text("utf-8").splitlines():
        word, rating, *_ = line.split("\t")
        rated[word] = float(rating)
    names: dict[str, str] = {}
    for line in (files / "emoji_utf8_lexicon.txt").read_text("utf-8").splitlines():
        symbol, _, name = line.partition("\t")
        names[symbol] = name
    words, emoji = {}, {}
    for emotion in EMOTIONS:
        sign = -1 if emotion in _NEGATIVE else 1
        words[emotion] = tuple(
            sorted(
                w
                for w, v in rated.items()
                if v * sign > 0.5 and w.isalpha() and w.startswith(_STEMS[emotion])
            )
        )
        emoji[emotion] = tuple(
            sorted(s for s, n in names.items() if any(part in n for part in _EMOJI[emotion]))
        )
    return Lexicon(words, emoji)


def make_comments(rng: Random, scene: Scene) -> tuple[str, ...]:
    """Generate comments: a log-normal number, sometimes none, mostly a handful, rarely hundreds."""
    if rng.random() < 0.05:
        return ()
    number = min(400, 1 + int(rng.lognormvariate(1.45, 0.9)))
    return tuple(_comment(rng, scene) for _ in range(number))


def _comment(rng: Random, scene: Scene) -> str:
    known = lexicon()
    if rng.random() < 0.12:
        return rng.choice(_CHATTER if rng.random() < 0.7 else _OTHER_SCRIPTS)
    # Some people see it otherwise than the rest.
    felt = scene.emotion if rng.random() < 0.78 else rng.choice(EMOTIONS)
    parts: list[str] = []
    for _ in range(min(18, 1 + int(rng.expovariate(0.3)))):
        kind = rng.random()
        if kind < 0.42:
            parts.append(_common_first(rng, known.words[felt]))
        elif kind < 0.56:
            parts.append(rng.choice((scene.thing, scene.place)))
        else:
            parts.append(rng.choice(_COMMON))
    if rng.random() < 0.45:
        parts += [rng.choice(known.emoji[felt])] * rng.randint(1, 3)
    text = " ".join(parts)
    spelling = rng.random()
    if spelling < 0.06:
        text = text.upper()
    elif spelling < 0.12 and parts[0][-1].isalpha():
        text = text.replace(parts[0], parts[0] + parts[0][-1] * rng.randint(2, 4), 1)
    return text + rng.choice(("", "", "", "!", "!!", "...", "?"))


def _common_first(rng: Random, words: tuple[str, ...]) -> str:
    """Draw a word of the list; the first ones of a fixed shuffle are the most frequent, as in language."""
    return words[min(len(words) - 1, int(len(words) * rng.random() ** 2.2)) * 7919 % len(words)]


def make_reactions(rng: Random, scene: Scene) -> tuple[int, int, int, int, int]:
    """Draw reaction counts: Dirichlet-multinomial around the emotion's reactions, with log-normal popularity."""
    if rng.random() < 0.06:
        return (0, 0, 0, 0, 0)
    numbers = np.random.default_rng(rng.getrandbits(64))
    shares = numbers.dirichlet(6.0 * np.array(_BUTTONS[scene.emotion]))
    total = min(5_000_000, int(rng.lognormvariate(2.6, 1.7)))
    counts = numbers.multinomial(total, shares)
    assert len(counts) == len(REACTIONS)
    return tuple(int(c) for c in counts)  # type: ignore[return-value]
