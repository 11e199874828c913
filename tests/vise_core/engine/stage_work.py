"""What stages give to engines, in processes that are killed."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from vise_core.engagement.clustering.distributed import assign_block
from vise_core.engagement.clustering.lloyd import Assigned
from vise_core.engagement.label import label_shard
from vise_core.posts.check import check_posts


def assign_or_die(folder: Path, *arguments: Any) -> Assigned:
    """``assign_block``, which kills its process at block 2, the first time."""
    mark = folder.parent / "killed"
    if arguments[-1] == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return assign_block(folder, *arguments)


def label_or_die(posts: Path, clusterer: Path, state: Path, number: int, **options: Any) -> int:
    """``label_shard``, which kills its process at shard 2, the first time; at shard 3 each time, if told to."""
    mark = state.parent / "killed"
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if number == 3 and (state.parent / "deadly").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return label_shard(posts, clusterer, state, number, **options)


def label_slowly(posts: Path, clusterer: Path, state: Path, number: int, **options: Any) -> int:
    """``label_shard``, which lets the holder act between two shards."""
    time.sleep(0.3)
    return label_shard(posts, clusterer, state, number, **options)


def check_or_die(marks: Path, *arguments: Any) -> Any:
    """``check_posts``, which kills its process the first time."""
    mark = marks / "killed"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return check_posts(*arguments)
