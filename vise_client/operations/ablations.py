"""Operations on ablations."""

from __future__ import annotations

from ..operation import Id, delete, get, patch, post
from ..schemas.ablations import AblationCreate, AblationSummary, AblationUpdate, AblationView
from ..schemas.runs import RunView


class AblationOperations:
    """Vary one factor of a baseline evaluation."""

    @get("/ablations")
    def ablations(self) -> list[AblationSummary]:
        """Return the ablations, newest first."""

    @get("/ablations/{ablation_id}")
    def ablation(self, ablation_id: Id) -> AblationView:
        """Return an ablation with every point and the run that fills it."""

    @post("/ablations")
    def create_ablation(self, body: AblationCreate) -> AblationView:
        """Create an ablation: a baseline evaluation, and the values of one factor."""

    @patch("/ablations/{ablation_id}")
    def update_ablation(self, ablation_id: Id, body: AblationUpdate) -> AblationView:
        """Rename an ablation, or change its points."""

    @delete("/ablations/{ablation_id}")
    def delete_ablation(self, ablation_id: Id) -> None:
        """Delete an ablation; its runs stay."""

    @post("/ablations/{ablation_id}/points/{number}/launch")
    def launch_point(self, ablation_id: Id, number: int) -> RunView:
        """Start the runs that fill a missing point of an ablation."""
