"""Operations on the engagement that a pretrained model expects."""

from __future__ import annotations

from ..operation import Id, get, polled
from ..schemas.engagement import EngagementModel, EngagementView


class EngagementOperations:
    """Predict comments and reactions of an image."""

    @polled("/engagement")
    def predict_engagement(
        self, image: bytes, *, run_id: Id | None = None, top: int = 10, wait: float = 60
    ) -> EngagementView:
        """Return the comment clusters and reactions that a pretrained model predicts for an image.

        Args:
            image: the content of an image file.
            run_id: a pretrain run; None for the newest one with heads.
            top: number of comment clusters to return, the most probable first.
            wait: seconds to wait; the returned state is ``queued`` where it took longer.
        """

    @get("/engagement/{engagement_id}")
    def engagement(self, engagement_id: Id) -> EngagementView:
        """Return the engagement that was predicted for an image."""

    @get("/engagement/models")
    def engagement_models(self, *, search: str | None = None, limit: int = 50) -> list[EngagementModel]:
        """Return pretrained models with heads for engagement, newest first. ``search`` is a part of the run's name."""
