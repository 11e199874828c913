"""Reaction features: L2-normalised counts, so that the popularity of a post does not matter (Sec. 3.2)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vise_core.errors import BadInput
from vise_core.specs.posts.fields import REACTIONS


def reaction_vectors(counts: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Return the L2-normalised rows of (n_posts, 5) counts, float32; a row of zeros stays zero and gets no label.

    Raises BadInput for another shape, and for counts that are negative or not finite.
    """
    array = np.asarray(counts, dtype=np.float64)
    if array.size == 0:
        array = array.reshape(0, len(REACTIONS))
    if array.ndim != 2 or array.shape[1] != len(REACTIONS):
        raise BadInput(f"reaction counts have shape {array.shape}, expected {len(REACTIONS)} columns")
    if not np.isfinite(array).all():
        raise BadInput(
            f"reaction counts of row {int(np.argwhere(~np.isfinite(array))[0, 0])} are not finite numbers"
        )
    if (array < 0).any():
        raise BadInput(f"reaction counts of row {int(np.argwhere(array < 0)[0, 0])} are negative")
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    scaled: npt.NDArray[np.float32] = np.divide(
        array, norms, out=np.zeros_like(array), where=norms > 0
    ).astype(np.float32)
    return scaled
