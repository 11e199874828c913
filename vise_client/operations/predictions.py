"""Operations on predictions and on feedback about them."""

from __future__ import annotations

from vise_core.specs.explain import COLOUR_MAP, CamMethod, ColourMap

from ..operation import Id, delete, get, polled, put
from ..schemas.predictions import (
    FeedbackCount,
    FeedbackCreate,
    FeedbackView,
    PredictionSummary,
    PredictionView,
)
from ..schemas.wire import Page


class PredictionOperations:
    """Classify images, read the history, and give feedback."""

    @polled("/predictions")
    def predict(
        self,
        image: bytes,
        *,
        model_id: Id | None = None,
        method: CamMethod = "cam",
        target_class: str | None = None,
        strength: float = 0.5,
        colour_map: ColourMap = COLOUR_MAP,
        overlay: bool = True,
        batch: Id | None = None,
        position: int = 0,
        keep: bool = False,
        synthetic: bool = False,
        wait: float = 60,
    ) -> PredictionView:
        """Return class probabilities of an image and a class activation map over it.

        Raises ApiError where the image or the options are refused, or the prediction failed.

        Args:
            image: the content of an image file.
            model_id: None for the default model.
            method: how the map is computed.
            target_class: the class whose map is drawn; None for the most probable.
            strength: opacity of the map in the overlay, 0 to 1.
            overlay: also draw the map over the image, which takes time.
            batch, position: mark predictions that belong together: any UUID, and which image of the batch it is.
            keep: keep a thumbnail and the SHA-256 in the history.
            synthetic: the image is generated.
            wait: seconds to wait; the state of the returned prediction is ``queued`` where it took longer.
        """

    @get("/predictions/{prediction_id}")
    def prediction(self, prediction_id: Id) -> PredictionView:
        """Return a prediction."""

    @get("/predictions/{prediction_id}/picture")
    def prediction_picture(self, prediction_id: Id) -> bytes:
        """Return a preview of the image as an upright JPEG. Raises ApiError (404) once it is deleted."""

    @get("/predictions")
    def predictions(
        self,
        *,
        model_id: Id | None = None,
        batch: Id | None = None,
        with_feedback: bool | None = None,
        everyone: bool = False,
        cursor: Id | None = None,
        limit: int = 50,
    ) -> Page[PredictionSummary]:
        """Return one page of the user's predictions, newest first.

        Args:
            batch: predictions of this batch, of any user.
            with_feedback: only predictions with feedback, or only those without.
            everyone: include those of all users; for admins.
        """

    @delete("/predictions/{prediction_id}")
    def delete_prediction(self, prediction_id: Id) -> None:
        """Delete a prediction with its feedback."""

    @put("/predictions/{prediction_id}/feedback")
    def give_feedback(self, prediction_id: Id, body: FeedbackCreate) -> PredictionView:
        """Label the image of a prediction; its picture is then kept for the labelled set."""

    @delete("/predictions/{prediction_id}/feedback")
    def remove_feedback(self, prediction_id: Id) -> PredictionView:
        """Remove the label and the picture that was kept with it."""

    @get("/feedback")
    def feedback(
        self, *, task: str | None = None, cursor: Id | None = None, limit: int = 50
    ) -> Page[FeedbackView]:
        """Return one page of the labelled set, newest first."""

    @delete("/feedback/{feedback_id}")
    def delete_feedback(self, feedback_id: Id) -> None:
        """Delete an image of the labelled set, also after its prediction was deleted."""

    @get("/feedback/counts")
    def feedback_counts(self) -> list[FeedbackCount]:
        """Return the number of labelled images by task and label."""

    @get("/feedback/export")
    def export_feedback(self, task: str) -> bytes:
        """Return the labelled set of a task as a tar of labels.csv and images."""
