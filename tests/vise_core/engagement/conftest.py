import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vise_core.formats.post import Post, PostRecord
from vise_core.formats.posts import ShardWriter, shard_name, write_index

MOODS = {
    0: (["love", "cute", "😍", "adorable", "sweet"], (1, 0, 0, 3, 40)),
    1: (["sad", "sorry", "😢", "loss", "tears"], (0, 30, 2, 0, 1)),
    2: (["angry", "shame", "😡", "awful", "hate"], (0, 3, 25, 1, 0)),
    3: (["lol", "funny", "😂", "haha", "joke"], (50, 0, 0, 1, 3)),
}


@pytest.fixture(scope="session")
def posts() -> list[Post]:
    """240 posts of four moods; every tenth has no comment, every twelfth no reaction, post 0 neither."""
    rng = random.Random(7)
    made = []
    for n in range(240):
        words, reactions = MOODS[n % 4]
        comments = tuple(" ".join(rng.choices(words, k=rng.randint(1, 5))) for _ in range(rng.randint(1, 6)))
        counts = tuple(max(0, r + rng.randint(-1, 4)) for r in reactions)
        made.append(
            Post(
                id=f"post-{n}",
                comments=() if n % 10 == 0 else comments,
                reactions=(0, 0, 0, 0, 0) if n % 12 == 0 else counts,
            )
        )
    return made


@pytest.fixture(scope="session")
def write_shards(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Post], int], Path]:
    """Real tar shards of the posts, with what ``image`` returns as image; by default none is ever decoded."""

    def write(
        posts: Sequence[Post], per_shard: int, image: Callable[[Post], bytes] = lambda _: b"\xff\xd8"
    ) -> Path:
        folder = tmp_path_factory.mktemp("posts")
        entries = []
        for number, start in enumerate(range(0, len(posts), per_shard)):
            writer = ShardWriter(folder / shard_name(number))
            for post in posts[start : start + per_shard]:
                writer.write(PostRecord(post, image(post), "jpg"))
            entries.append(writer.close())
        write_index(folder, entries, synthetic=True)
        return folder

    return write
