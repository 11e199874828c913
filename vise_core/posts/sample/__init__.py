"""Synthetic sample data: engagement posts, and six-emotion images with masks of what carries the emotion.

Never a stand-in for real data, and marked synthetic wherever it is shown.
"""

from .generator import (
    generate_evaluation_image,
    generate_post,
    raw_posts,
    write_evaluation_set,
    write_sample,
)

__all__ = [
    "generate_evaluation_image",
    "generate_post",
    "raw_posts",
    "write_evaluation_set",
    "write_sample",
]
