"""Synthetic sample data: posts with engagement, and six-emotion images with masks of the emotional region.

The interface marks sample data as synthetic wherever it is shown; it never replaces real data.
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
